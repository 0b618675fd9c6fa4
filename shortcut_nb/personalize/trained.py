"""What a training changed, and nothing else: trained weights in their compact form."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

ROWS, VALUES = "#rows", "#values"


def difference(trained: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that a training changed; of a table with few changed rows, those rows.

    Args:
        trained, start: a method's state after and before, the same names and shapes.

    Returns:
        Whole tensors by name; or ``NAME#rows`` (numbers of rows) and ``NAME#values``.
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in trained.items():
        after, before = tensor.detach().cpu(), start[name].detach().cpu()
        if torch.equal(after, before):
            continue
        rows = (after != before).flatten(1).any(1).nonzero().squeeze(1) if after.ndim > 1 else None
        if rows is not None and 2 * len(rows) < len(after):
            kept[f"{name}{ROWS}"], kept[f"{name}{VALUES}"] = rows, after[rows].contiguous()
        else:
            kept[name] = after.clone()
    return kept


@torch.no_grad()
def apply(kept: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Put what :func:`difference` gave into a state that is as it was before training.

    Raises:
        ValueError: a name or a shape that the state does not have.
    """
    for name, tensor in kept.items():
        own, rows, _ = name.partition("#")
        if own not in state:
            raise ValueError(f"the trained weights have {own!r}, which the method does not train")
        if name.endswith(ROWS):
            continue
        place = state[own]
        if rows:
            place[kept[f"{own}{ROWS}"].to(place.device)] = tensor.to(place)
        elif place.shape != tensor.shape:
            raise ValueError(
                f"{own}: expected the shape {tuple(place.shape)}; got {tuple(tensor.shape)}"
            )
        else:
            place.copy_(tensor)
