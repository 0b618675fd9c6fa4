"""Metrics of pictures, and statistics of their scores. One name, one class."""

from ..errors import UserError
from ..profile import Profile
from ..registry import Registry
from . import clean_distance, hardened_identity  # noqa: F401  (each registers a sample probe)
from .attributes import AttributeMatch, AttributeReader
from .base import Column, Metric, not_a_metric
from .damage import DamageRegressor, Intactness
from .detection import Detection, Detector, ObjectDetector
from .face_match import FaceMatch
from .faces import FaceEncoder, HogFinder, LbpFinder
from .faithfulness import Faithfulness, psnr, ssim
from .frame import describe_column, score_pictures
from .identity import IdentityEncoder, IdentityMatch
from .quality import ClipQuality
from .sample_probes import SAMPLE_PROBES, SampleProbe
from .stats import Interval, holm, t_mean
from .texture import CoarseTexture, Texture

# In the order in which tables have their columns.
_IN_ORDER: tuple[type[Metric], ...] = (
    IdentityMatch,
    AttributeMatch,
    Detection,
    ClipQuality,
    Intactness,
    Texture,
    CoarseTexture,
    Faithfulness,
    FaceMatch,
)
METRICS: Registry[type[Metric]] = Registry("metric", not_a_metric)
for _metric in _IN_ORDER:
    METRICS.add(_metric.name, _metric)


def check_metric(name: str) -> None:
    """Make sure that a name is a metric's.

    Raises:
        UserError: it is not; of a column's name it says whose column that is.
    """
    owners = [metric.name for metric in METRICS.values() if name in list(metric.columns)]
    if owners and name not in METRICS:
        raise UserError(f"{name!r} is a column of the metric {owners[0]!r}: name that")
    METRICS.check(name)


def describe(column: str, profile: Profile | None = None) -> Column:
    """Label, unit and direction of a column of any frame: :func:`.frame.describe_column`."""
    return describe_column(METRICS, column, profile)


__all__ = [
    "METRICS",
    "SAMPLE_PROBES",
    "AttributeMatch",
    "AttributeReader",
    "ClipQuality",
    "CoarseTexture",
    "Column",
    "DamageRegressor",
    "Detection",
    "Detector",
    "ObjectDetector",
    "FaceEncoder",
    "FaceMatch",
    "Faithfulness",
    "HogFinder",
    "LbpFinder",
    "IdentityEncoder",
    "IdentityMatch",
    "Intactness",
    "Interval",
    "Metric",
    "SampleProbe",
    "Texture",
    "check_metric",
    "describe",
    "holm",
    "psnr",
    "score_pictures",
    "ssim",
    "t_mean",
]
