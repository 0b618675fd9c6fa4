"""Peak bytes on a device, counted without one: the package's own code on fake tensors.

Fake tensors have shapes and dtypes and no data. The fake device is "cpu" and host memory is "meta",
since the backward pass of fake CUDA tensors wants a driver; norms run in float32, as a GPU's
autocast has it. Every storage that an operation makes is counted while it lives. Not counted: what
a kernel takes inside itself, the allocator's rounding and gaps, and CUDA's own context; PyTorch
updates fake weights one by one, where a GPU's default takes temporaries of their size.
"""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Module, Parameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from shortcut_nb.lab import Lab
from shortcut_nb.machine.memory import SHAPES
from shortcut_nb.mini.pretrain import tokenizer
from shortcut_nb.subjects import Subject
from tests.tiny_sd import BETAS

ATEN = torch.ops.aten
ASKED = (ATEN._local_scalar_dense.default, ATEN.item.default, ATEN.is_nonzero.default)


class Counter(TorchDispatchMode):
    """Live and peak bytes of storages on the fake device; a number that is asked for is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.live = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in ASKED:
            kind = args[0].dtype
            return True if kind == torch.bool else 1.0 if kind.is_floating_point else 1
        if func is torch.ops.aten.repeat_interleave.Tensor:  # prompts said of one row each
            return torch.arange(args[0].numel())
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
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

    def leave(self, tensor) -> None:
        """A tensor whose data has left the device, though the tensor itself lives on."""
        self._forget(tensor.untyped_storage()._cdata)


class Disk:
    """Where MetaCloak's states lie: fake tensors have nothing that a file could hold."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def save_file(self, state: dict[str, torch.Tensor], path) -> None:
        assert {tensor.device.type for tensor in state.values()} == {"meta"}
        path.write_text(str(len(self.states)))
        self.states.append(state)

    def load_file(self, path) -> dict[str, torch.Tensor]:
        return self.states[int(path.read_text())]


def in_float32(norm):
    """A norm as a GPU's autocast runs it, in float32; a CPU's does not."""

    def wrapped(x, *args, **kwargs):
        return norm(x.float() if torch.is_autocast_enabled("cpu") else x, *args, **kwargs)

    return wrapped


def mover(counter: Counter):
    """``Module.to`` for fake tensors, whose data cannot be put in place on another device.

    PyTorch's own moves a parameter's data and keeps the parameter; here there is a new one, and the
    data of the old has left the device, whoever still holds it.
    """

    def move(module: Module, *args, **kwargs) -> Module:
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
        for part in module.modules():
            for held in (part._parameters, part._buffers):
                for name, tensor in held.items():
                    if tensor is None:
                        continue
                    kind = dtype if tensor.is_floating_point() else None
                    with torch.no_grad():
                        moved = tensor.to(device or tensor.device, kind or tensor.dtype)
                    if moved is not tensor:
                        wants = tensor.requires_grad
                        is_weight = isinstance(tensor, Parameter)
                        held[name] = Parameter(moved, requires_grad=wants) if is_weight else moved
                        counter.leave(tensor)
        return module

    return move


def copied(tensor, memo):
    """A deep copy of a fake tensor: PyTorch's own sets a storage, which has no data here."""
    if id(tensor) not in memo:
        new = tensor.detach().clone()
        wants = tensor.requires_grad
        memo[id(tensor)] = Parameter(new, wants) if isinstance(tensor, Parameter) else new
    return memo[id(tensor)]


@contextmanager
def fake_gpu():
    """A device that is not there; gives the counter."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.Tensor, "__deepcopy__", copied))
        stack.enter_context(patch.object(Parameter, "__deepcopy__", copied))
        for place in ("tuning.lean", "attacks.aspl", "attacks.run"):
            stack.enter_context(patch(f"shortcut_nb.{place}.HOST", torch.device("meta")))
        disk = Disk()
        for name in ("save_file", "load_file"):
            place = f"shortcut_nb.attacks.metacloak.{name}"
            stack.enter_context(patch(place, getattr(disk, name)))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        counter = stack.enter_context(Counter())
        stack.enter_context(patch.object(Module, "to", mover(counter)))
        for norm in ("group_norm", "layer_norm"):
            kept = getattr(torch.nn.functional, norm)
            stack.enter_context(patch.object(torch.nn.functional, norm, in_float32(kept)))
        yield counter


def pipeline(kind: str, small: bool = False) -> StableDiffusionPipeline:
    """Stable Diffusion 1.5's ("sd15") or 2.1's ("sd21") networks, with random weights.

    Args:
        kind: of ``SHAPES``.
        small: a few thousand weights and 64 pixels; the same parts otherwise.
    """
    shape = SHAPES[kind]
    second = shape.width == 1024
    words = tokenizer.build(merges=64)
    width = 32 if small else shape.width
    side = 64 if small else shape.side
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16) if small else (128, 256, 512, 512),
        latent_channels=4,
        layers_per_block=1 if small else 2,
        norm_num_groups=4 if small else 32,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=side,
    )
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder(second, width, words, small),
        tokenizer=words,
        unet=unet_of(second, width, side // 8, small),
        scheduler=DDIMScheduler(
            **BETAS,
            prediction_type="v_prediction" if second else "epsilon",
            clip_sample=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def text_encoder(second: bool, width: int, words: CLIPTokenizer, small: bool) -> CLIPTextModel:
    layers, heads = (2, 2) if small else (23, 16) if second else (12, 12)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words) if small else 49408,
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width if small or not second else 512,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            hidden_act="gelu" if second else "quick_gelu",
            max_position_embeddings=77,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
        )
    )


def unet_of(second: bool, width: int, side: int, small: bool) -> UNet2DConditionModel:
    heads = (2, 2, 4, 4) if small else (5, 10, 20, 20)
    return UNet2DConditionModel(
        sample_size=side,
        block_out_channels=(8, 8, 16, 16) if small else (320, 640, 1280, 1280),
        layers_per_block=1 if small else 2,
        norm_num_groups=4 if small else 32,
        cross_attention_dim=width,
        attention_head_dim=heads if second else 2 if small else 8,
        use_linear_projection=second,
    )


WORK = {
    "advdm": lambda lab, low: lab.attack("advdm", steps=1, low_memory=low),
    "aspl": lambda lab, low: lab.attack("aspl", low_memory=low, **ROUND),
    "aspl-lora": lambda lab, low: lab.attack("aspl", surrogate="lora", low_memory=low, **ROUND),
    "metacloak": lambda lab, low: lab.attack(
        "metacloak",
        pool_steps=1,
        interval=1,
        advance=1,
        trials=1,
        pgd_steps=1,
        low_memory=low,
        **ONE,
    ),
    "dreambooth": lambda lab, low: lab.personalize("dreambooth", low_memory=low, **FIT),
    "cdl-dreambooth": lambda lab, low: lab.personalize("cdl-dreambooth", low_memory=low, **FIT),
    "dreambooth-lora": lambda lab, low: lab.personalize("dreambooth-lora", low_memory=low, **FIT),
}
ONE = {"class_images": 1, "prior_steps": 1}
ROUND = {"rounds": 1, "clean_steps": 1, "pgd_steps": 1, "perturbed_steps": 1, **ONE}
FIT = {"steps": 1, **ONE}


def count(kind: str, work: str, low_memory: bool = False) -> tuple[int, int]:
    """Peak bytes of one short run, and bytes of the models that were there before."""
    with fake_gpu() as counter:
        pipe = pipeline(kind)
        lab = Lab.from_pipeline(pipe)
        vars(lab)["diffusion"] = replace(lab.diffusion, autocast=torch.bfloat16)
        before = counter.live
        side = lab.diffusion.resolution
        pictures = torch.rand(4, 3, side, side)
        if work == "sample":
            lab.diffusion.sample("a photo", 16, seed=0, steps=1, guidance_scale=7.5)
            return counter.peak, before
        subject = Subject.from_images(pictures, "person", "sks", words=lab.profile.prompts)
        result = WORK[work](lab, low_memory)
        (result.fit if hasattr(result, "fit") else result)(subject)
        return counter.peak, before
