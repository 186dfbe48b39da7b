"""GBCDecoder: fuse the encoder's scales with gated bottleneck convolutions, finish on the pixels themselves.

GBC: Liu et al. 2025 (SCSegamba, CVPR), https://arxiv.org/abs/2503.01113, section 3.2.
Own design around it: GBC saves multiplications but not time on large maps, so it works at stride 4 and above; at
stride 2 two plain convolutions join the decoded context, the encoder's stride-2 features (where it has any) and a
detail branch that sees every input pixel through pixel unshuffling. The head writes four sub-pixels for each stride-2
position, so no full-size feature map exists and yet a one-pixel crack can be drawn.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from segmentation_models_pytorch.base.initialization import initialize_decoder
from torch import Tensor, nn
from torch.nn import functional as F

from segplug.models.decoders.dysample import DySample

Upsample = Literal["bilinear", "dysample"]


class GBCDecoder(nn.Module):
    """Features at strides 1, 2, 4 … 2^d -> (N, detail_channels, H/2, W/2).

    encoder_channels: one entry a stride, the stride-1 entry (the image) first; 0 marks a stride the encoder lacks.
    decoder_channels: widths at strides 2^d … 4. block: width -> a fresh block that keeps it; `blocks` of them at each
    of these strides. upsample: between strides, bilinear or at learned positions (DySample).
    """

    def __init__(
        self,
        encoder_channels: Sequence[int],
        decoder_channels: Sequence[int],
        block: Callable[[int], nn.Module],
        detail_channels: int = 32,
        blocks: int = 1,
        upsample: Upsample = "bilinear",
    ) -> None:
        super().__init__()
        image, half, *skips = encoder_channels
        if len(decoder_channels) != len(skips):
            raise ValueError(f"{len(skips)} decoder widths are needed (strides >= 4), got {tuple(decoder_channels)}")
        if upsample not in get_args(Upsample):
            raise ValueError(f"upsample must be one of {get_args(Upsample)}, got {upsample!r}")
        deepest, *others = reversed(skips)

        def stack(c: int) -> list[nn.Module]:
            return [block(c) for _ in range(blocks)]

        first, last = decoder_channels[0], decoder_channels[-1]
        self.bridge = nn.Sequential(ConvNormReLU(deepest, first, 1), *stack(first))
        self.fusions = nn.ModuleList(
            Fusion(c_deep, c_skip, c_out, stack(c_out), upsample)
            for c_deep, c_skip, c_out in zip(decoder_channels, others, decoder_channels[1:], strict=False)
        )
        self.detail = nn.Sequential(nn.PixelUnshuffle(2), ConvNormReLU(4 * image, detail_channels, 3))
        self.reduce = ConvNormReLU(last, detail_channels, 1)
        self.up = _upsampler(detail_channels, upsample)
        self.refine = nn.Sequential(
            ConvNormReLU(2 * detail_channels + half, detail_channels, 3),
            ConvNormReLU(detail_channels, detail_channels, 3),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.finish(features, self.levels(features)[-1])

    def levels(self, features: list[Tensor]) -> list[Tensor]:
        """The decoded maps at strides 2^d … 4."""
        deepest, *others = reversed(features[2:])
        maps = [self.bridge(deepest)]
        for fuse, skip in zip(self.fusions, others, strict=True):
            maps.append(fuse(maps[-1], skip))
        return maps

    def finish(self, features: list[Tensor], x: Tensor) -> Tensor:
        """From the map at stride 4 to the one at stride 2."""
        image, half = features[:2]
        detail = self.detail(image)
        context = resize(self.up(self.reduce(x)), detail)
        joined = [context, detail] if half.shape[1] == 0 else [context, half, detail]
        return self.refine(torch.cat(joined, dim=1))


class Fusion(nn.Module):
    """Deep map + skip of twice its size -> blocks at the skip's size: (N, c_out, H, W)."""

    def __init__(self, c_deep: int, c_skip: int, c_out: int, blocks: list[nn.Module], upsample: Upsample) -> None:
        super().__init__()
        self.reduce = ConvNormReLU(c_deep, c_out, 1)
        self.up = _upsampler(c_out, upsample)
        self.mix = ConvNormReLU(c_out + c_skip, c_out, 3)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = resize(self.up(self.reduce(deep)), skip)
        return self.blocks(self.mix(torch.cat([up, skip], dim=1)))


class ConvNormReLU(nn.Sequential):
    """Convolution of kernel k, batch norm, ReLU; starts as smp's decoders do."""

    def __init__(self, in_channels: int, out_channels: int, k: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, k, padding=k // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )
        initialize_decoder(self)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """x bilinearly at the height and width of `like`."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _upsampler(c: int, upsample: Upsample) -> nn.Module:
    """DySample to twice the size, or nothing: `resize` follows either."""
    return DySample(c, 2, groups=math.gcd(c, 4)) if upsample == "dysample" else nn.Identity()
