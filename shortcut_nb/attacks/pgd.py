"""The one projected-gradient loop (Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from ..budget import Budget
from ..errors import Diverged
from .objectives import Objective


def pgd(
    objective: Objective,
    x: Tensor,
    clean: Tensor,
    budget: Budget,
    *,
    alpha: float,
    steps: int,
    source: Sequence[Generator],
    momentum: float = 0.0,
    repeats: int = 1,
    chunk: int | None = None,
    memory: dict[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Take signed steps of size ``alpha``, each projected to the ball around ``clean``.

    Args:
        objective: what to climb or descend, as its ``direction`` says.
        x: where to start, (n, 3, H, W) in [0, 1]; not written to.
        clean: the centre of the ball, (n, 3, H, W) in [0, 1].
        budget: the ball's radius.
        alpha: step size as a share of [0, 1].
        source: one generator per picture; they advance, so that a later call goes on from here.
        momentum: decay of the accumulated gradient, each scaled to unit l1 norm (MI-FGSM,
            Dong et al. 2018); 0 is plain PGD. Kept in ``memory`` from one call to the next.
        repeats: independent draws whose gradients are averaged in each step.
        chunk: pictures per backward pass; None takes all at once.

    Returns:
        The pictures after the last step (not rounded), and the trace (steps, n).

    Raises:
        Diverged: when a loss or a gradient is not finite; says at which step.
    """
    x, trace = x.detach().clone(), []
    memory = {} if memory is None else memory
    for step in range(steps):
        values, gradient = values_and_gradient(objective, x, source, repeats, chunk)
        check_finite(values, gradient, step)
        if momentum > 0:
            size = gradient.abs().flatten(1).sum(1).clamp_min(1e-12).view(-1, 1, 1, 1)
            gradient = momentum * memory.get("velocity", torch.zeros_like(x)) + gradient / size
            memory["velocity"] = gradient
        x = budget.project(x + objective.direction * alpha * gradient.sign(), clean)
        trace.append(values)
    return x, torch.stack(trace) if trace else torch.zeros(0, len(x))


def values_and_gradient(
    objective: Callable[[Tensor, Sequence[Generator], slice], Tensor],
    x: Tensor,
    source: Sequence[Generator],
    repeats: int = 1,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """An objective of pictures and its gradient to them, averaged over repeats.

    Args:
        objective: from pictures, their generators and their numbers to values, (n,).
        x: (n, 3, H, W).
        source: one generator per picture; they advance.
        repeats: independent draws.
        chunk: pictures per backward pass; None takes all at once.

    Returns:
        Values (n,), float32 on the CPU, and gradient (n, 3, H, W).
    """
    values, gradient = torch.zeros(len(x)), torch.zeros_like(x)
    chunk = chunk or len(x)
    for start in range(0, len(x), chunk):
        rows = slice(start, min(start + chunk, len(x)))
        for _ in range(repeats):
            part = x[rows].clone().requires_grad_(True)
            with torch.enable_grad():
                each = objective(part, source[rows], rows)
                (slope,) = torch.autograd.grad(each.sum(), part)
            values[rows] += each.detach().float().cpu() / repeats
            gradient[rows] += slope / repeats
    return values, gradient


def check_finite(values: Tensor, gradient: Tensor, step: int) -> None:
    """Refuse to take a step by numbers that are none.

    Args:
        values: the loss of each picture, (n,).
        gradient: to the pictures, (n, 3, H, W).

    Raises:
        Diverged: one of them is not finite; says at which step.
    """
    if not torch.isfinite(values).all():
        raise Diverged(
            f"the attack's loss is {values.tolist()} at step {step}: the model's weights or "
            "its arithmetic overflow. Try float32."
        )
    if not torch.isfinite(gradient).all():
        raise Diverged(
            f"the attack's gradient is not finite at step {step}, though its loss is: the "
            "model's arithmetic overflows on the way back. Try float32."
        )


def start_uniform(
    clean: Tensor, budget: Budget, source: Sequence[Generator], radius: float | None = None
) -> Tensor:
    """A uniform random point of the ball, or of a smaller one.

    Args:
        clean: the ball's centre, (n, 3, H, W) in [0, 1].
        source: one generator per picture; row i is drawn from generator i.
        radius: largest change, as a share of [0, 1]; None is the whole budget.

    Returns:
        (n, 3, H, W) in [0, 1], not rounded to the 8-bit grid.
    """
    radius = budget.unit if radius is None else radius
    offset = [torch.rand(clean.shape[1:], generator=g) * 2 - 1 for g in source]
    return budget.project(clean + radius * torch.stack(offset).to(clean.device), clean)
