"""OpenAI's guided-diffusion checkpoints (ADM, Dhariwal & Nichol 2021) as diffusers DDPM folders.

``python -m shortcut_nb.purify.adm 256x256_diffusion_uncond.pt FOLDER``; then name the folder in a
profile, ``purifiers: {pixel: {id: FOLDER, loader: ddpm}}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from torch import Tensor

from ..errors import AlreadyThere, MissingFile, UserError
from ..files import writing
from ..networks.face_network import read_weights

GROUPS = 32
RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


class Layout:
    """What the shapes of a checkpoint say: levels, layers, widths, where attention is.

    Raises:
        ValueError: no ADM checkpoint, or one that ``UNet2DModel`` cannot represent.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        if (
            "input_blocks.0.0.weight" not in state
            or "output_blocks.0.0.in_layers.0.weight" not in state
        ):
            raise UserError(
                "expected a guided-diffusion UNet: there are no input_blocks in the file"
            )
        if "label_emb.weight" in state:
            raise UserError(
                "this checkpoint wants a class with every picture, and a purifier has none: take "
                "the unconditional one (256x256_diffusion_uncond.pt)"
            )
        count = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("output_"))
        ends = [k for k in range(count) if _grows(state, k)]
        self.layers = ends[0] if ends else count - 1
        self.levels = count // (self.layers + 1)
        first = [f"input_blocks.{1 + i * (self.layers + 1)}" for i in range(self.levels)]
        self.widths = [len(state[f"{place}.0.in_layers.2.weight"]) for place in first]
        self.attended = [f"{place}.1.qkv.weight" in state for place in first]
        self.resampled_by_resnet = f"input_blocks.{self.layers + 1}.0.in_layers.0.weight" in state
        rows = len(state["middle_block.0.emb_layers.1.weight"])
        self.scale_shift = rows == 2 * self.widths[-1]
        begin = (len(state["input_blocks.0.0.weight"]), state["time_embed.0.weight"].shape[1])
        if begin != (self.widths[0], self.widths[0]):
            raise UserError(
                f"UNet2DModel needs the first level as wide as the input and the time embedding; "
                f"got {self.widths[0]} and {begin}. The 512-pixel checkpoint is not representable"
            )

    def config(self, size: int, head_channels: int) -> dict[str, Any]:
        """The keyword arguments of ``UNet2DModel``."""
        plain = (
            ("ResnetDownsample", "ResnetUpsample") if self.resampled_by_resnet else ("Down", "Up")
        )
        down = tuple(("AttnDown" if has else plain[0]) + "Block2D" for has in self.attended)
        up = tuple(("AttnUp" if has else plain[1]) + "Block2D" for has in reversed(self.attended))
        kind = "resnet" if self.resampled_by_resnet else "conv"
        return {
            "sample_size": size,
            "block_out_channels": tuple(self.widths),
            "layers_per_block": self.layers,
            "down_block_types": down,
            "up_block_types": up,
            "downsample_type": kind,
            "upsample_type": kind,
            "attention_head_dim": head_channels,
            "norm_num_groups": GROUPS,
            "attn_norm_num_groups": GROUPS,
            "resnet_time_scale_shift": "scale_shift" if self.scale_shift else "default",
        }

    def places(self) -> Iterator[tuple[str, str]]:
        """Every block, as (its name in the checkpoint, its name in UNet2DModel)."""
        k = 1
        for level, attended in enumerate(self.attended):
            for layer in range(self.layers):
                yield f"input_blocks.{k}.0", f"down_blocks.{level}.resnets.{layer}"
                if attended:
                    yield f"input_blocks.{k}.1", f"down_blocks.{level}.attentions.{layer}"
                k += 1
            if level < self.levels - 1:
                yield f"input_blocks.{k}.0", f"down_blocks.{level}.downsamplers.0"
                k += 1
        yield "middle_block.0", "mid_block.resnets.0"
        yield "middle_block.1", "mid_block.attentions.0"
        yield "middle_block.2", "mid_block.resnets.1"
        k = 0
        for level, attended in enumerate(reversed(self.attended)):
            for layer in range(self.layers + 1):
                yield f"output_blocks.{k}.0", f"up_blocks.{level}.resnets.{layer}"
                if attended:
                    yield f"output_blocks.{k}.1", f"up_blocks.{level}.attentions.{layer}"
                if layer == self.layers and level < self.levels - 1:
                    yield f"output_blocks.{k}.{1 + attended}", f"up_blocks.{level}.upsamplers.0"
                k += 1


def _grows(state: Mapping[str, Tensor], k: int) -> bool:
    """Whether an output block ends with an upsampler: a second residual block, or a convolution."""
    names = [
        f"output_blocks.{k}.{j}.{part}.weight" for j in (1, 2) for part in ("in_layers.0", "conv")
    ]
    return any(name in state for name in names)


def convert(
    state: Mapping[str, Tensor], size: int = 256, head_channels: int = 64, new_order: bool = False
) -> UNet2DModel:
    """The same network as a ``UNet2DModel``, in float32.

    Widths, levels, attention, resampling and scale-shift norms are read from the shapes. Of a
    learned variance (six output channels) only the first three, the noise, are kept.

    Args:
        state: the checkpoint's tensors by name.
        size: of the pictures that the model was trained on, in pixels.
        head_channels: channels of an attention head; no shape tells. 64 in the 256-pixel models.
        new_order: whether the model was trained with ``use_new_attention_order``.

    Raises:
        ValueError: a checkpoint that is not ADM's or not representable; names left over or missing.
    """
    layout, left = Layout(state), {name: tensor.float() for name, tensor in state.items()}
    weights: dict[str, Tensor] = {}

    def move(old: str, new: str) -> None:
        for end in ("weight", "bias"):
            if f"{old}.{end}" in left:
                weights[f"{new}.{end}"] = left.pop(f"{old}.{end}")

    for old, new in ENDS.items():
        move(old, new)
    for old, new in layout.places():
        if f"{old}.qkv.weight" in left:
            move(f"{old}.norm", f"{new}.group_norm")
            for end in ("weight", "bias"):
                parts = split_qkv(left.pop(f"{old}.qkv.{end}"), head_channels, new_order)
                weights |= {
                    f"{new}.to_{c}.{end}": part for c, part in zip("qkv", parts, strict=True)
                }
            move(f"{old}.proj_out", f"{new}.to_out.0")
            weights[f"{new}.to_out.0.weight"] = weights[f"{new}.to_out.0.weight"].flatten(1)
        for part, name in RESNET.items():
            move(f"{old}.{part}", f"{new}.{name}")
        for part in ("op", "conv"):
            move(f"{old}.{part}", f"{new}.conv")
    weights |= {name: weights[name][:3] for name in ("conv_out.weight", "conv_out.bias")}
    unet = UNet2DModel(**layout.config(size, head_channels))
    missing = sorted(set(unet.state_dict()) - set(weights))
    if left or missing:
        over, absent = (", ".join(sorted(each)[:3]) or "none" for each in (left, missing))
        raise UserError(
            f"this checkpoint has another layout than ADM's: left over {over}; missing {absent}"
        )
    unet.load_state_dict(weights)
    return unet.eval()


def split_qkv(joined: Tensor, head_channels: int, new_order: bool) -> tuple[Tensor, ...]:
    """Queries, keys and values of a joint projection, (3c, c, 1) or (3c,): each (c, c) or (c,).

    The old order is q, k, v of head 0, then of head 1, …; the new one all q, all k, all v.

    Raises:
        ValueError: when the heads do not divide the width.
    """
    flat = joined.flatten(1) if joined.dim() > 1 else joined
    width = len(flat) // 3
    if width % head_channels:
        raise UserError(f"heads of {head_channels} channels do not divide a width of {width}")
    heads = width // head_channels
    order = (3, heads, head_channels) if new_order else (heads, 3, head_channels)
    parts = flat.unflatten(0, order).unbind(0 if new_order else 1)
    return tuple(part.flatten(0, 1).contiguous() for part in parts)


def main(
    source: Annotated[Path, typer.Argument(help="guided-diffusion's .pt file")],
    folder: Annotated[Path, typer.Argument(help="a new folder, in DDPMPipeline format")],
    size: Annotated[int, typer.Option(help="side of the model's pictures, in pixels")] = 256,
    head_channels: Annotated[int, typer.Option(help="channels of an attention head")] = 64,
    new_order: Annotated[bool, typer.Option(help="use_new_attention_order")] = False,
) -> None:
    """Convert a checkpoint. Betas are linear, as for all of guided-diffusion's 256-pixel models."""
    if not source.is_file():
        raise MissingFile(f"there is no file at {source}: name guided-diffusion's .pt file.")
    if folder.exists():
        raise AlreadyThere(f"{folder} exists already. Name a new folder.")
    unet = convert(read_weights(source), size, head_channels, new_order)
    pipe = DDPMPipeline(unet=unet, scheduler=DDPMScheduler(num_train_timesteps=1000))
    with writing(folder) as fresh:
        pipe.save_pretrained(fresh)


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
