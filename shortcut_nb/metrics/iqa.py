"""LIQE, BRISQUE and other judges of picture quality, through the package pyiqa.

pyiqa is the extra "iqa". Its licence (PolyForm Noncommercial 1.0.0, with parts under the S-Lab
License) forbids commercial use, so nothing here needs it, and no metric of it is registered.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..images import check_images, enlarged
from ..weights.safe_opening import opening
from .base import Column, Needs

INSTALL = 'pip install "shortcut-nb[iqa]" (for non-commercial use only)'
LEAST = {"liqe": 224, "liqe_mix": 224, "brisque": 64}
"""The smallest side, in pixels, that a judge can take; smaller pictures are enlarged to it."""


@dataclass(frozen=True, eq=False)
class PyiqaMetric:
    """One of pyiqa's judges that need no reference, as a metric with one column of its name.

    Its own range and direction are kept: LIQE from 1 to 5, higher is better; BRISQUE from about 0
    to 150, lower is better, and sometimes below 0. Pictures go in at their own size.
    """

    name: str
    net: Any
    lower_better: bool
    batch: int = 8
    needs: Needs = field(default="nothing", init=False)

    @classmethod
    def open(
        cls, name: str, weights: str | Path | None = None, device: str | torch.device = "cpu"
    ) -> PyiqaMetric:
        """Open a judge by pyiqa's name: "liqe", "liqe_mix", "brisque", …

        Args:
            weights: a file of its weights, read as tensors and nothing else; None lets pyiqa fetch
                its own, which it unpickles.

        Raises:
            UserError: no pyiqa, or not all of it; no such judge, or one that needs a reference.
            BadWeights: a file that cannot be opened, or holds more than tensors.
        """
        try:
            pyiqa = import_module("pyiqa")
        except ImportError:
            raise UserError(
                f"{name} is measured with pyiqa, which is not here: {INSTALL}"
            ) from None
        known = pyiqa.list_models(metric_mode="NR")
        if name not in known:
            raise UserError(
                f"pyiqa knows no judge {name!r} that needs no reference; it has: {', '.join(known)}"
            )
        options = {} if weights is None else {"pretrained_model_path": str(_plain(weights))}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                net = pyiqa.create_metric(name, device=torch.device(device), **options)
        except ModuleNotFoundError as error:  # pkg_resources, of setuptools before 81
            raise UserError(
                f"{name} wants the module {error.name}, which is not here: {INSTALL}"
            ) from None
        return cls(name, net, bool(net.lower_better))

    @property
    def columns(self) -> dict[str, Column]:
        """Its one column."""
        better = "lower" if self.lower_better else "higher"
        return {self.name: Column(self.name.upper(), better=better)}  # type: ignore[arg-type]

    @torch.no_grad()
    def __call__(self, images: Tensor, references: Tensor | None = None) -> dict[str, np.ndarray]:
        """Score (n, 3, H, W) float32 in [0, 1]; one column, (n,)."""
        check_images(images)
        large = enlarged(images, LEAST.get(self.name, 0))
        parts = [self.net(part).flatten().cpu() for part in large.split(self.batch)]
        return {self.name: torch.cat(parts).double().numpy()}


def _plain(path: str | Path) -> Path:
    """A file that holds tensors and nothing else, so that pyiqa may unpickle it."""
    path = Path(path).expanduser()
    with opening(path, "weights of tensors and nothing else"):
        torch.load(path, map_location="cpu", weights_only=True)
    return path
