"""The slope of an objective of pictures, by finite differences and by its own gradient."""

import torch


def slopes_of(objective, x, step, towards=None):
    """(found, promised): the slope in a direction by central differences, and by the gradient.

    ``objective`` maps pictures (n, 3, H, W) to values; it must draw the same noise at each call.
    ``towards`` is a direction of length one; None is the gradient's own.
    """
    start = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective(start).sum(), start)
    towards = gradient / gradient.norm() if towards is None else towards
    with torch.no_grad():
        ends = [objective(x + at * towards) for at in (step, -step)]
        up, down = (end.double().sum() for end in ends)
    return ((up - down) / (2 * step)).item(), (gradient * towards).sum().item()
