"""Face restorers of the literature, opened through spandrel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Module

from ..errors import UserError
from ..weights import BadWeights, inspect_file
from ..weights.safe_opening import opening

INSTALL = 'install the extra: pip install "shortcut-nb[restoration]"'
SUFFIXES = (".safetensors", ".pth", ".pt")

# How each architecture is called: pictures in [−1, 1], and a fidelity weight for those that have
# one. spandrel's own descriptors would show [0, 1] to the first two, which were trained on [−1, 1].
# GFPGAN draws fresh noise at every call unless it is told to use the noise in its weights.
CALLS: dict[str, Callable[[Module, Tensor, float], Tensor]] = {
    "CodeFormer": lambda net, x, fidelity: net(x, weight=fidelity)[0],
    "GFPGAN": lambda net, x, fidelity: net(x, return_rgb=False, randomize_noise=False)[0],
    "RestoreFormer": lambda net, x, fidelity: net(x)[0],
}


@dataclass(frozen=True, eq=False)
class FaceNetwork:
    """A network that restores a face on pictures of one size.

    Args:
        module: the network, on pictures in [−1, 1].
        call: runs it: (module, pictures, fidelity) to pictures.
        side: of the square pictures it takes.
    """

    module: Module
    call: Callable[[Module, Tensor, float], Tensor]
    side: int = 512

    @classmethod
    def open(
        cls, path: str | Path, device: str | torch.device = "cpu", file: str | None = None
    ) -> FaceNetwork:
        """Open a checkpoint of CodeFormer, GFPGAN (clean) or RestoreFormer, in float32.

        Args:
            path: the file, or a folder that holds it.
            file: its name in the folder, where there are several.

        Raises:
            BadWeights: no such file, a damaged one, or another architecture.
            UserError: spandrel is not installed.
        """
        weights = weights_file(Path(path), file)
        state = read_weights(weights)
        try:
            import spandrel
            import spandrel_extra_arches
        except ImportError as error:
            raise UserError(f"face restorers need spandrel ({error}): {INSTALL}") from None
        registry = spandrel.MAIN_REGISTRY.copy()
        registry.add(*spandrel_extra_arches.EXTRA_REGISTRY, ignore_duplicates=True)
        try:
            model = registry.load(spandrel.canonicalize_state_dict(state))
        except spandrel.UnsupportedModelError:
            raise BadWeights(
                f"{weights} holds no network that spandrel knows; expected {', '.join(CALLS)}."
            ) from None
        kind = model.architecture.id
        if kind not in CALLS:
            raise BadWeights(
                f"expected a face restorer ({', '.join(CALLS)}), got {kind}: {weights}"
            )
        module = model.model.float().to(device).eval().requires_grad_(False)
        return cls(module, CALLS[kind])

    @torch.no_grad()
    def __call__(self, images: Tensor, fidelity: float = 0.5) -> Tensor:
        """Restore (n, 3, side, side) float32 in [0, 1]; the same come back."""
        weight = next(self.module.parameters())
        x = (images * 2 - 1).to(weight.device, weight.dtype)
        return (self.call(self.module, x, fidelity).to(images) / 2 + 0.5).clamp(0, 1)


def weights_file(path: Path, name: str | None = None) -> Path:
    """The one weights file that a path means.

    Raises:
        BadWeights: none, or several without a name to choose by.
    """
    if path.is_file():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and name in (None, p.name))
    if len(files) != 1:
        have = ", ".join(p.name for p in files) or "none"
        raise BadWeights(
            f"expected one weights file ({', '.join(SUFFIXES)}) in {path}, got {have}: name it "
            "under options: {file: ...} in the profile"
        )
    return files[0]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name. A pickle may hold tensors and nothing else."""
    if inspect_file(path, pickles=path.suffix != ".safetensors"):
        return load_file(str(path))
    with opening(path, "a PyTorch checkpoint of tensors and nothing else"):
        return torch.load(path, map_location="cpu", weights_only=True)
