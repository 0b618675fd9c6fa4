"""One thin wrapper over an open_clip model: pictures and texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn import Module
from torch.nn import functional as F

from ..errors import MissingFile, UserError
from ..images import check_images
from ..weights import check_weights
from ..weights.safe_opening import opening

TEXTS = 64
"""Lists of texts whose vectors a model remembers."""


class Clip:
    """A contrastive image-text model (Radford et al. 2021), as open_clip builds it.

    Args:
        model: an ``open_clip`` model. It is taken over: frozen and put in evaluation mode.
        tokenizer: maps a list of k texts to (k, context_length) token ids.
        size: height and width the image tower expects.
        mean, std: per-channel normalisation of pictures in [0, 1].
        resize: ``"shortest"`` (scale the shorter side, crop the centre) or ``"squash"``.
        interpolation: ``"bicubic"`` or ``"bilinear"``, both antialiased.
        batch: pictures per forward pass; it does not change the result.
    """

    def __init__(
        self,
        model: Module,
        tokenizer: Callable[[list[str]], Tensor],
        size: tuple[int, int],
        mean: Sequence[float] = open_clip.OPENAI_DATASET_MEAN,
        std: Sequence[float] = open_clip.OPENAI_DATASET_STD,
        resize: str = "shortest",
        interpolation: str = "bicubic",
        batch: int = 64,
    ) -> None:
        if resize not in ("shortest", "squash"):
            raise ValueError(f'resize must be "shortest" or "squash", got {resize!r}')
        if interpolation not in ("bicubic", "bilinear"):
            raise ValueError(
                f'interpolation must be "bicubic" or "bilinear", got {interpolation!r}'
            )
        self._texts: dict[Hashable, Tensor] = {}
        self.model: Any = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.size, self.resize, self.interpolation, self.batch = size, resize, interpolation, batch
        self.mean = torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1).to(self.device)
        self.std = torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1).to(self.device)

    @classmethod
    def open(
        cls, source: str | Path, device: str | torch.device = "cpu", pretrained: str | None = None
    ) -> Clip:
        """Open a model from a folder, the hub, or open_clip's own list.

        Args:
            source: a folder with ``open_clip_config.json``, ``open_clip_model.safetensors`` and
                tokenizer files; or ``"hf-hub:owner/name"``; or an architecture such as
                ``"ViT-B-32"``, which also needs ``pretrained`` (``"openai"``).
            device: where the model goes.
            pretrained: tag of the weights, for an architecture name only.

        Raises:
            BadWeights: the folder holds no ``open_clip_config.json``, or no whole weights.
            FileNotFoundError: neither a folder nor a known name.
            ValueError: an architecture without weights, or a tokenizer whose end token cannot
                be found by the text tower.
        """
        name = _schema(source, pretrained)
        with opening(source, "an open_clip model"):
            model = open_clip.create_model(name, pretrained=pretrained, device=device)
            tokenizer = open_clip.get_tokenizer(name)
        _check_end_token(model, tokenizer, source)
        cfg = model.visual.preprocess_cfg
        size = cfg["size"]
        return cls(
            model,
            tokenizer,
            (size, size) if isinstance(size, int) else tuple(size),
            cfg["mean"],
            cfg["std"],
            cfg.get("resize_mode", "shortest"),
            cfg.get("interpolation", "bicubic"),
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def scale(self) -> float:
        """The learned inverse temperature of the logits."""
        return float(self.model.logit_scale.exp())

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and normalise (n, 3, H, W) in [0, 1]; gradients flow through."""
        x = images.to(self.device)
        target = self.size
        if self.resize == "shortest":
            grow = max(self.size[0] / x.shape[-2], self.size[1] / x.shape[-1])
            target = (
                max(self.size[0], round(x.shape[-2] * grow)),
                max(self.size[1], round(x.shape[-1] * grow)),
            )
        if tuple(x.shape[-2:]) != target:
            x = F.interpolate(x, target, mode=self.interpolation, antialias=True).clamp(0, 1)
        top = (x.shape[-2] - self.size[0]) // 2
        left = (x.shape[-1] - self.size[1]) // 2
        x = x[..., top : top + self.size[0], left : left + self.size[1]]
        return (x - self.mean) / self.std

    def image(self, images: Tensor) -> Tensor:
        """Embed pictures (n, 3, H, W) float32 in [0, 1] as (n, d) vectors of length 1.

        Differentiable in ``images``. Raises ValueError on a wrong rank, range or dtype.
        """
        check_images(images)
        parts = [
            self.model.encode_image(self.prepare(part), normalize=True)
            for part in images.split(self.batch)
        ]
        return torch.cat(parts)

    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed k texts as (k, d) vectors of length 1, without gradients; the last are remembered.

        Raises ValueError when there are none.
        """
        if isinstance(texts, str) or not texts:
            raise ValueError(f"expected a non-empty list of texts, got {texts!r}")
        weight = next(self.model.parameters())
        autocast = torch.is_autocast_enabled(weight.device.type)
        key = (tuple(texts), weight.device, weight.dtype, autocast)
        if key not in self._texts:
            if len(self._texts) == TEXTS:
                self._texts.clear()
            self._texts[key] = self._embedded(texts)
        return self._texts[key].clone()

    def _embedded(self, texts: Sequence[str]) -> Tensor:
        # A tensor of inference mode could not be used where gradients to pictures are taken.
        with torch.inference_mode(False), torch.no_grad():
            tokens = self.tokenizer(list(texts)).to(self.device)
            return self.model.encode_text(tokens, normalize=True)

    def similarity(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosine (n, k) in [-1, 1] of n pictures and k texts."""
        return self.image(images) @ self.text(texts).T

    def probabilities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Zero-shot probability (n, k): softmax over prompts with the model's own scale."""
        return (self.scale * self.similarity(images, prompts)).softmax(dim=-1)


def _schema(source: str | Path, pretrained: str | None) -> str:
    """The name open_clip understands."""
    folder = Path(source)
    if folder.is_dir():
        check_weights(folder, "open_clip")
        return f"local-dir:{folder}"
    name = str(source)
    if name.startswith("hf-hub:"):
        return name
    if name not in open_clip.list_models():
        raise MissingFile(
            f"{name!r} is neither a folder, nor hf-hub:owner/name, nor an open_clip architecture: "
            "check the clip entry of the profile"
        )
    if not pretrained:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise UserError(f"{name} needs pretrained=, one of {', '.join(tags)}")
    return name


def _check_end_token(model: Module, tokenizer: object, source: str | Path) -> None:
    """The text tower reads the largest id (argmax) or a named end id: the tokenizer must agree."""
    inner = getattr(tokenizer, "tokenizer", None)
    end = getattr(inner, "eos_token_id", None)
    if inner is None or end is None:
        return
    tower = getattr(model, "text", model)
    how = getattr(tower, "pool_type", None) or getattr(tower, "text_pool_type", "argmax")
    if how == "argmax" and end != len(inner) - 1:
        raise UserError(
            f"{source}: the text tower pools at the largest token id, but the tokenizer ends "
            f'texts with {end} of {len(inner)}: put "pool_type": "eos", "eos_id": {end} in text_cfg'
        )
    expected = getattr(tower, "eos_id", getattr(tower, "text_eos_id", end))
    if how == "eos" and expected != end:
        raise UserError(f"{source}: text_cfg says eos_id {expected}, the tokenizer says {end}")
