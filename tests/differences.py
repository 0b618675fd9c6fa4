"""The slope of an objective of pictures, by finite differences and by its own gradient."""

import torch


def slopes_of(objective, x, step):
    """(found, promised): the slope along the gradient by central differences, and its norm.

    ``objective`` maps pictures (n, 3, H, W) to values; it must draw the same noise at each call.
    """
    start = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective(start).sum(), start)
    towards = gradient / gradient.norm()
    with torch.no_grad():
        up, down = (
            objective((x + at * towards).clamp(0, 1)).double().sum() for at in (step, -step)
        )
    return ((up - down) / (2 * step)).item(), gradient.norm().item()
