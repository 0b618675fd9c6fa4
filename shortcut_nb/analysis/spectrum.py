"""Where the energy of pictures lies: radially averaged power spectra."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor


def spectrum(images: Tensor, bins: int | None = None) -> pd.DataFrame:
    """Power against spatial frequency, averaged over direction, channels and pictures.

    Args:
        images: (n, 3, H, W), any range: pictures, or differences of pictures. Each channel's mean
            is taken out.
        bins: of equal width from 0 to half a cycle per pixel; None is half the shorter side.

    Returns:
        Columns ``frequency`` (cycles per pixel, the bin's centre), ``power`` (mean squared
        magnitude of the orthonormal Fourier transform; its mean over all coefficients is the
        variance of the pixels), ``share`` (of the total energy within the bins).

    Raises:
        ValueError: for other than four dimensions.
    """
    if images.ndim != 4:
        raise ValueError(f"expected pictures (n, 3, H, W), got {tuple(images.shape)}")
    high, wide = images.shape[-2:]
    bins = bins or min(high, wide) // 2
    x = images.detach().double().cpu()
    x = x - x.mean(dim=(-2, -1), keepdim=True)
    power = torch.fft.fft2(x, norm="ortho").abs().square().mean(dim=(0, 1))
    across = torch.fft.fftfreq(high).square()[:, None] + torch.fft.fftfreq(wide).square()[None]
    place = (across.sqrt() / 0.5 * bins).long()
    inside = place < bins
    total = torch.zeros(bins, dtype=power.dtype).index_add(0, place[inside], power[inside])
    count = torch.bincount(place[inside], minlength=bins)
    return pd.DataFrame({
        "frequency": ((torch.arange(bins) + 0.5) / bins * 0.5).numpy(),
        "power": (total / count.clamp_min(1)).numpy(),
        "share": (total / total.sum().clamp_min(1e-30)).numpy(),
    })  # fmt: skip
