"""Bytes on a GPU that is not there: the package's own code on fake CUDA tensors, counted.

Fake tensors have shapes, dtypes and devices and no data. Every storage that an operation makes is
counted while it lives. Not counted: what a kernel takes inside itself (cuDNN's workspace), the
allocator's rounding and gaps, and CUDA's own context.
"""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import CLIPTextConfig, CLIPTextModel

from shortcut_nb.mini.pretrain import tokenizer
from tests.tiny_sd import BETAS

ATTEND = torch.nn.functional.scaled_dot_product_attention


class Counter(TorchDispatchMode):
    """Live and peak bytes of storages on the fake GPU; a number that is asked for is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.live = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            return {torch.bool: True}.get(
                args[0].dtype, 1 if not args[0].is_floating_point() else 1.0
            )
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cuda":
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage) -> None:
        key = storage._cdata
        if key in self.sizes:
            return
        self.sizes[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self.sizes.pop(key, 0)

    @contextmanager
    def stretch(self):
        """The peak inside alone: what is alive now counts from the start."""
        self.peak = self.live
        yield


class Attention(TorchFunctionMode):
    """The attention kernels that a GPU takes: flash in half precision, else memory-efficient."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not ATTEND:
            return func(*args, **kwargs)
        q, k, v = args[:3] if len(args) > 2 else (kwargs[n] for n in ("query", "key", "value"))
        if q.device.type != "cuda":
            return func(*args, **kwargs)
        if torch.is_autocast_enabled("cuda"):
            q, k, v = (x.to(torch.get_autocast_dtype("cuda")) for x in (q, k, v))
        grad = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, grad)[0]


@contextmanager
def fake_gpu():
    """A fake GPU that does bfloat16; gives the counter."""
    with ExitStack() as stack:
        stack.enter_context(
            patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
        )
        stack.enter_context(patch("torch.cuda.is_bf16_supported", lambda *a: True))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        counter = stack.enter_context(Counter())
        stack.enter_context(Attention())
        yield counter


def pipeline(kind: str) -> StableDiffusionPipeline:
    """Stable Diffusion 1.5's ("sd15") or 2.1's ("sd21") networks at full width; call on a GPU."""
    second = kind == "sd21"
    words = tokenizer.build(merges=64)
    width = 1024 if second else 768
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=512 if second else 768,
            num_hidden_layers=23 if second else 12,
            num_attention_heads=16 if second else 12,
            hidden_act="gelu" if second else "quick_gelu",
            max_position_embeddings=77,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
        )
    )
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        latent_channels=4,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512,
    )
    unet = UNet2DConditionModel(
        sample_size=64,
        cross_attention_dim=width,
        attention_head_dim=(5, 10, 20, 20) if second else 8,
        use_linear_projection=second,
    )
    prediction = "v_prediction" if second else "epsilon"
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=words,
        unet=unet,
        scheduler=DDIMScheduler(
            **BETAS, prediction_type=prediction, clip_sample=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
