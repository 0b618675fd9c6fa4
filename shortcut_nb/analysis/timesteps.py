"""At which noise levels a pair of picture and prompt is learned: losses by timestep."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from ..diffusion import Diffusion, draw_normal, sample_generators


@torch.no_grad()
def timestep_losses(
    model: Diffusion,
    images: Tensor,
    prompt: str,
    *,
    timesteps: Sequence[int] = tuple(range(25, 1000, 50)),
    draws: int = 4,
    seed: int = 0,
    empty: bool = True,
) -> pd.DataFrame:
    """L_ldm of pictures under a prompt and under the empty prompt, at chosen timesteps.

    A loss is the mean squared error of the network's prediction (noise or velocity, in units of
    the latents' own scale, so without a unit), as in Rombach et al. 2022, equation 2.

    The same noise for both prompts, so ``mismatch`` is paired: how much worse the model explains
    the picture with its prompt than without any. Positive means that the prompt misleads.

    Args:
        images: (n, 3, H, W) in [0, 1].
        timesteps: in [0, 1000); a low one is little noise.
        draws: of the noise, at each timestep.
        empty: False leaves the empty prompt out, at half the cost.

    Returns:
        One row per picture, timestep and draw: ``image``, ``timestep``, ``draw``,
        ``conditional``; with the empty prompt also ``unconditional`` and ``mismatch`` (their
        difference).
    """
    names = ["conditional", "unconditional"] if empty else ["conditional"]
    context = model.embed([prompt, ""][: len(names)])
    source = sample_generators(seed, len(images))
    parts = []
    for draw in range(draws):
        latents = model.encode(images, source)
        for t in timesteps:
            noise = draw_normal(latents.shape[1:], source)
            at = torch.full((len(images),), t)
            losses = {}
            for name, one in zip(names, context, strict=True):
                states = one[None].expand(len(images), -1, -1)
                losses[name] = model.denoising_loss(latents, at, noise, states).cpu().numpy()
            place = {"image": range(len(images)), "timestep": t, "draw": draw}
            parts.append(pd.DataFrame(place | losses))
    frame = pd.concat(parts, ignore_index=True)
    if empty:
        frame = frame.assign(mismatch=frame["conditional"] - frame["unconditional"])
    return frame
