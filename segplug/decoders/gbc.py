"""GBCDecoder: fuse the encoder's scales with gated bottleneck convolutions, finish on the pixels themselves.

GBC: Liu et al. 2025 (SCSegamba, CVPR), https://arxiv.org/abs/2503.01113, section 3.2.
Own design around it: GBC saves multiplications but not time on large maps, so it works at stride 4 and above; at
stride 2 two plain convolutions join the decoded context, the encoder's stride-2 features (where it has any) and a
detail branch that sees every input pixel through pixel unshuffling. The head writes four sub-pixels for each stride-2
position, so no full-size feature map exists and yet a one-pixel crack can be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import GBC
from yoloplug.blocks.gbc import Gate

__all__ = ["GBCDecoder"]


class GBCDecoder(nn.Module):
    """Features at strides 1, 2, 4 … 2^d -> (N, detail_channels, H/2, W/2).

    encoder_channels: one entry a stride, the stride-1 entry (the image) first; 0 marks a stride the encoder lacks.
    decoder_channels: widths at strides 2^d … 4, at least 8; multiples of 16 are GBC's published form.
    blocks: GBCs at each of these strides.
    """

    def __init__(
        self,
        encoder_channels: Sequence[int],
        decoder_channels: Sequence[int],
        detail_channels: int = 32,
        blocks: int = 1,
        gate: Gate = "product",
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        image, half, *skips = encoder_channels
        if len(decoder_channels) != len(skips):
            raise ValueError(f"{len(skips)} decoder widths are needed (strides >= 4), got {tuple(decoder_channels)}")
        deepest, *others = reversed(skips)
        self.bridge = nn.Sequential(
            ConvNormReLU(deepest, decoder_channels[0], 1),
            *(GBC(decoder_channels[0], gate=gate, zero_init=zero_init) for _ in range(blocks)),
        )
        self.fusions = nn.ModuleList(
            GBCFusion(c_deep, c_skip, c_out, blocks, gate, zero_init)
            for c_deep, c_skip, c_out in zip(decoder_channels, others, decoder_channels[1:], strict=False)
        )
        self.detail = nn.Sequential(nn.PixelUnshuffle(2), ConvNormReLU(4 * image, detail_channels, 3))
        self.reduce = ConvNormReLU(decoder_channels[-1], detail_channels, 1)
        self.refine = nn.Sequential(
            ConvNormReLU(2 * detail_channels + half, detail_channels, 3),
            ConvNormReLU(detail_channels, detail_channels, 3),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        image, half, *skips = features
        deepest, *others = reversed(skips)
        x = self.bridge(deepest)
        for fuse, skip in zip(self.fusions, others, strict=True):
            x = fuse(x, skip)
        detail = self.detail(image)
        context = _resize(self.reduce(x), detail)
        joined = [context, detail] if half.shape[1] == 0 else [context, half, detail]
        return self.refine(torch.cat(joined, dim=1))


class GBCFusion(nn.Module):
    """Deep map + skip of twice its size -> GBC at the skip's size: (N, c_out, H, W)."""

    def __init__(self, c_deep: int, c_skip: int, c_out: int, blocks: int, gate: Gate, zero_init: bool) -> None:
        super().__init__()
        self.reduce = ConvNormReLU(c_deep, c_out, 1)
        self.mix = ConvNormReLU(c_out + c_skip, c_out, 3)
        self.gbc = nn.Sequential(*(GBC(c_out, gate=gate, zero_init=zero_init) for _ in range(blocks)))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = _resize(self.reduce(deep), skip)
        return self.gbc(self.mix(torch.cat([up, skip], dim=1)))


class ConvNormReLU(nn.Sequential):
    """Convolution of kernel k, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, k: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, k, padding=k // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
