"""Loss weights by timestep, the same for pretraining, fine-tuning and attacks."""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin
from diffusers.training_utils import compute_snr
from torch import Tensor


def min_snr_weight(
    schedule: SchedulerMixin, t: Tensor, gamma: float, velocity: bool | None = None
) -> Tensor:
    """min-SNR weights (Hang et al. 2023, eq. 8): min(SNR(t), γ) over the SNR of the target.

    Args:
        schedule: of noise.
        t: timesteps, (n,).
        gamma: where weights stop to grow; 5 in the paper.
        velocity: whether errors are of velocity, or of noise; None is what the model predicts, as
            the schedule says.

    Returns:
        (n,) weights of mean squared errors of noise (divided by SNR) or velocity (by SNR + 1).
    """
    snr = compute_snr(schedule, t)
    if velocity is None:
        velocity = schedule.config.prediction_type == "v_prediction"
    if velocity:
        return snr.clamp(max=gamma) / (snr + 1)
    return torch.full_like(snr, gamma).div(snr).clamp(max=1)  # 1 where no picture is left
