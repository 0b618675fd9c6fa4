"""Less memory on the device for the same result: weights and optimiser states kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Conv2d, Linear, Module, Parameter

HOST = torch.device("cpu")
ENDS = ("conv_in", "conv_out")  # diffusers reads a network's dtype from its first or last weight


class HostAdamW(torch.optim.AdamW):
    """AdamW whose moments lie in host memory; those of one parameter at a time are on the
    device.

    The arithmetic is PyTorch's own, on the parameter's device: on one device without foreach
    kernels the same bits as ``torch.optim.AdamW``, elsewhere the same up to its last bits.
    Two copies of the weights (8 bytes a parameter) leave the device for a transfer a step.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a closure is not taken."""
        groups = self.param_groups
        try:
            for group in groups:
                for parameter in group["params"]:
                    self._step_of(parameter, group)
        finally:
            self.param_groups = groups

    def _step_of(self, parameter: Tensor, group: dict[str, Any]) -> None:
        if parameter.grad is None:
            return
        state = self.state[parameter]
        for name, value in state.items():
            if _is_moment(value):
                state[name] = value.to(parameter.device)
        self.param_groups = [{**group, "params": [parameter]}]
        super().step()
        for name, value in self.state[parameter].items():
            if _is_moment(value):
                state[name] = value.to(HOST)


def _is_moment(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


@contextmanager
def on_host(*modules: Module) -> Iterator[None]:
    """Move modules to host memory for the block, and back where they were afterwards."""
    places = [(module, next(module.parameters()).device) for module in modules]
    try:
        for module, _ in places:
            module.to(HOST)
        yield
    finally:
        for module, device in places:
            module.to(device)


@contextmanager
def on_device(device: torch.device, *modules: Module) -> Iterator[None]:
    """Move modules to a device for the block, and to host memory afterwards."""
    try:
        for module in modules:
            module.to(device)
        yield
    finally:
        for module in modules:
            module.to(HOST)


@contextmanager
def weights_in(network: Module, dtype: torch.dtype) -> Iterator[None]:
    """Hold frozen weights that autocast rounds to a dtype in that dtype alone for the block.

    Convolutions and linear layers run in it anyway, so that every result keeps its bits; norms and
    whatever is trained stay in float32. The float32 weights wait in host memory and come back.

    Args:
        dtype: autocast's; float32 changes nothing.
    """
    masters: list[tuple[Parameter, Tensor]] = []
    try:
        for parameter in rounded_by_autocast(network) if dtype != torch.float32 else ():
            if not parameter.requires_grad and parameter.dtype == torch.float32:
                masters.append((parameter, parameter.data.to(HOST, copy=True)))
                parameter.data = parameter.data.to(dtype)
        yield
    finally:
        for parameter, master in masters:
            parameter.data = master.to(parameter.device)


def rounded_by_autocast(network: Module) -> Iterable[Parameter]:
    """The weights and biases that autocast casts at every use; the first and last layer's stay."""
    for name, module in network.named_modules():
        if isinstance(module, (Conv2d, Linear)) and name not in ENDS:
            yield from module.parameters(recurse=False)
