"""Where the energy of pictures lies: radially averaged power spectra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..errors import UserError


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
        UserError: for other than four dimensions.
    """
    if images.ndim != 4:
        raise UserError(f"expected pictures (n, 3, H, W), got {tuple(images.shape)}")
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
    return pd.DataFrame(
        {
            "frequency": ((torch.arange(bins) + 0.5) / bins * 0.5).numpy(),
            "power": (total / count.clamp_min(1)).numpy(),
            "share": (total / total.sum().clamp_min(1e-30)).numpy(),
        }
    )


def gain(frame: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """How many times the power of one spectrum another has, in each bin: column ``power``.

    Pictures and samples of one world have much the same spectrum, falling towards high
    frequencies. In a gain that is taken out, and what was added is left. NaN where the reference
    has no power (the lowest bin, which holds the mean alone).

    Raises:
        UserError: for other bins.
    """
    _same_bins(frame, reference)
    ratio = frame["power"] / reference["power"].where(reference["power"] > 0)
    return frame[["frequency"]].assign(power=ratio)


def spectrum_match(frame: pd.DataFrame, other: pd.DataFrame) -> float:
    """Pearson correlation of two spectra's log powers, in [-1, 1], over bins where both have any.

    Most spectra fall towards high frequencies, so two that have nothing to do with each other
    correlate too: compare gains (:func:`gain`), and read them beside a control. NaN with fewer
    than three bins, or a flat spectrum.

    Raises:
        UserError: for other bins.
    """
    _same_bins(frame, other)
    one, two = frame["power"].to_numpy(), other["power"].to_numpy()
    both = (one > 0) & (two > 0)
    if both.sum() < 3:
        return float("nan")
    logs = np.log(one[both]), np.log(two[both])
    if min(float(np.ptp(log)) for log in logs) < 1e-9:
        return float("nan")
    return float(np.corrcoef(*logs)[0, 1])


def _same_bins(one: pd.DataFrame, two: pd.DataFrame) -> None:
    if not np.array_equal(one["frequency"].to_numpy(), two["frequency"].to_numpy()):
        raise UserError(
            f"expected spectra with the same bins; got {len(one)} and {len(two)}: give spectrum() "
            "the same bins= for both"
        )
