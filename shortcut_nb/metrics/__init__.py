"""Metrics of pictures, and statistics of their scores. One name, one class."""

from .base import Metric
from .detection import Detection, Detector, ObjectDetector
from .faithfulness import Faithfulness, psnr, ssim
from .identity import IdentityEncoder, IdentityMatch, summarise
from .quality import ClipQuality
from .stats import Interval, bootstrap_difference, bootstrap_mean, holm, t_mean
from .texture import CoarseTexture, Texture

METRICS: dict[str, type] = {
    metric.name: metric
    for metric in (IdentityMatch, Detection, ClipQuality, Texture, CoarseTexture, Faithfulness)
}

__all__ = [
    "METRICS",
    "ClipQuality",
    "CoarseTexture",
    "Detection",
    "Detector",
    "ObjectDetector",
    "Faithfulness",
    "IdentityEncoder",
    "IdentityMatch",
    "Interval",
    "Metric",
    "Texture",
    "bootstrap_difference",
    "bootstrap_mean",
    "holm",
    "psnr",
    "ssim",
    "summarise",
    "t_mean",
]
