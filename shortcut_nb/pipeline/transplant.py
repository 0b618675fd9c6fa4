"""Perturbations that are moved: to a share of the pictures, or to pictures of something else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..budget import Budget
from ..errors import UserError


def mixed(clean: Tensor, perturbed: Tensor, share: float, seed: int = 0) -> Tensor:
    """Clean pictures with a share of them replaced by their perturbed versions.

    Which ones is drawn from the seed; a smaller share's pictures are among a larger share's. The
    share is rounded to whole pictures.

    Args:
        clean, perturbed: (n, 3, H, W), the same pictures in the same order.
    """
    order = torch.randperm(len(clean), generator=torch.Generator().manual_seed(seed))
    chosen = order[: round(share * len(clean))]
    out = clean.clone()
    out[chosen] = perturbed[chosen]
    return out


def moved(clean: Tensor, change: Tensor, budget: Budget) -> Tensor:
    """Pictures with perturbations that were made for others; picture i takes row i mod their n.

    What would leave [0, 1] is cut off, so a moved perturbation is a little weaker than at home.

    Args:
        clean: (n, 3, H, W) in [0, 1].
        change: (m, 3, H, W), perturbations.

    Returns:
        (n, 3, H, W) in [0, 1], on the 8-bit grid and inside the budget.
    """
    rows = change[torch.arange(len(clean)) % len(change)]
    return budget.project_grid((clean + rows).clamp(0, 1), clean)


def shuffled(clean: Tensor, perturbed: Tensor, budget: Budget) -> Tensor:
    """Every perturbation moved on by one picture: none stays at home.

    Raises:
        ValueError: for a single picture.
    """
    if len(clean) < 2:
        raise ValueError("perturbations are shuffled between pictures: expected at least two")
    return moved(clean, (perturbed - clean).roll(1, dims=0), budget)


def neighbour(names: Sequence[str], name: str) -> str:
    """The next of a profile's subjects after one, whose perturbation is borrowed.

    Raises:
        UserError: there is no other.
    """
    start = names.index(name) + 1 if name in names else 0
    others = [each for each in [*names[start:], *names[:start]] if each != name]
    if not others:
        raise UserError(
            "another subject's perturbation is wanted, and the profile names no other: list two "
            "under subjects:"
        )
    return others[0]
