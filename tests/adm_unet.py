"""The UNet of "Diffusion Models Beat GANs" (ADM), written anew from its description and small.

Parameters have the names of OpenAI's checkpoints. Nothing of diffusers is used.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width)


def embedding(t: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of t at frequencies from 1 down to almost 1/10,000."""
    half = width // 2
    angle = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(half) / half)
    return torch.cat([angle.cos(), angle.sin()], 1)


class ResBlock(nn.Module):
    def __init__(self, come: int, go: int, words: int, scale_shift: bool, resample=None) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(norm(come), nn.SiLU(), nn.Conv2d(come, go, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(words, go * (1 + scale_shift)))
        self.out_layers = nn.Sequential(
            norm(go), nn.SiLU(), nn.Identity(), nn.Conv2d(go, go, 3, padding=1)
        )
        self.skip_connection = nn.Conv2d(come, go, 1) if come != go else nn.Identity()
        self.scale_shift, self.resample = scale_shift, resample or (lambda x: x)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        h = self.in_layers[2](self.resample(self.in_layers[:2](x)))
        embedding = self.emb_layers(words)[:, :, None, None]
        if self.scale_shift:
            scale, shift = embedding.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + embedding)
        return self.skip_connection(self.resample(x)) + h


class Attention(nn.Module):
    def __init__(self, width: int, head: int, new_order: bool) -> None:
        super().__init__()
        self.norm, self.qkv = norm(width), nn.Conv1d(width, 3 * width, 1)
        self.proj_out, self.head, self.new_order = nn.Conv1d(width, width, 1), head, new_order

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        n, width, high, wide = x.shape
        heads = width // self.head
        joined = self.qkv(self.norm(x.flatten(2)))
        if self.new_order:
            q, k, v = joined.view(n, 3, heads, self.head, -1).unbind(1)
        else:
            q, k, v = joined.view(n, heads, 3, self.head, -1).unbind(2)
        weight = torch.einsum("nhct,nhcs->nhts", q, k) / math.sqrt(self.head)
        out = torch.einsum("nhts,nhcs->nhct", weight.softmax(-1), v).reshape(n, width, -1)
        return x + self.proj_out(out).view(n, width, high, wide)


class Resample(nn.Module):
    """A convolution with stride two ("op"), or nearest-neighbour and a convolution ("conv")."""

    def __init__(self, width: int, up: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(width, width, 3, stride=1 if up else 2, padding=1)
        self.add_module("conv" if up else "op", conv)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        return self.conv(grow(x)) if hasattr(self, "conv") else self.op(x)


def grow(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def shrink(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


class AdmUNet(nn.Module):
    def __init__(
        self, widths=(32, 64, 64), layers=2, attended=(False, True, True), head=16,
        new_order=False, scale_shift=True, resblock_updown=True, out_channels=6,
    ) -> None:  # fmt: skip
        super().__init__()
        words = 4 * widths[0]
        self.time_embed = nn.Sequential(
            nn.Linear(widths[0], words), nn.SiLU(), nn.Linear(words, words)
        )

        def res(come, go, how=None):
            return ResBlock(come, go, words, scale_shift, how)

        def resample(width, up):
            if resblock_updown:
                return res(width, width, grow if up else shrink)
            return Resample(width, up)

        width, kept = widths[0], [widths[0]]
        inputs, outputs = [nn.ModuleList([nn.Conv2d(3, width, 3, padding=1)])], []
        for level, go in enumerate(widths):
            for _ in range(layers):
                attend = [Attention(go, head, new_order)] if attended[level] else []
                inputs.append(nn.ModuleList([res(width, go), *attend]))
                width = go
                kept.append(width)
            if level < len(widths) - 1:
                inputs.append(nn.ModuleList([resample(width, up=False)]))
                kept.append(width)
        middle = [res(width, width), Attention(width, head, new_order), res(width, width)]
        for level in reversed(range(len(widths))):
            for layer in range(layers + 1):
                go = widths[level]
                parts = [res(width + kept.pop(), go)]
                parts += [Attention(go, head, new_order)] if attended[level] else []
                parts += [resample(go, up=True)] if level and layer == layers else []
                outputs.append(nn.ModuleList(parts))
                width = go
        self.input_blocks, self.output_blocks = nn.ModuleList(inputs), nn.ModuleList(outputs)
        self.middle_block = nn.ModuleList(middle)
        self.out = nn.Sequential(
            norm(width), nn.SiLU(), nn.Conv2d(width, out_channels, 3, padding=1)
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        words = self.time_embed(embedding(t, self.time_embed[0].in_features).to(x))
        kept = []
        for parts in self.input_blocks:
            for part in parts:
                x = part(x) if isinstance(part, nn.Conv2d) else part(x, words)
            kept.append(x)
        for part in self.middle_block:
            x = part(x, words)
        for parts in self.output_blocks:
            x = torch.cat([x, kept.pop()], 1)
            for part in parts:
                x = part(x, words)
        return self.out(x)
