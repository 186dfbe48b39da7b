"""Sampling a map at positions computed from the map, and the deformable convolutions built on it.

Papers: Dai et al. 2017, https://arxiv.org/abs/1703.06211; Zhu et al. 2019 (with mask), https://arxiv.org/abs/1811.11168.
On CUDA the convolution is torchvision's kernel. Elsewhere, and in every graph and ONNX file, it is grid_sample and a
1x1 convolution: the same numbers, several times faster in training on a CPU than torchvision's kernel is there, and
nothing but standard operators in the exported file. On a CPU the C kernels of `yoloplug.native` sample, three to four
times as fast as it; without them wide maps are read as rows of a channels-last table. Positions are always computed in
float32 or wider.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import check_conv, divides
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.memory_format import memory_format
from yoloplug.blocks.parts.padding import autopad
from yoloplug.native import deformable as native
from yoloplug.native.use import applies

Size2 = tuple[int, int]


class Taps(NamedTuple):
    """Where the taps of a deformable convolution lie before they are moved, and how many groups of channels move."""

    stride: Size2
    padding: Size2
    dilation: Size2
    offset_groups: int


class DeformablePack(AbsorbsAffine):
    """Weights of a deformable convolution and `conv_offset`, the convolution that predicts where it looks.

    per_tap: maps predicted per kernel tap: 2 (dy, dx) or 3 (and a mask logit). conv_offset starts at zero.
    """

    per_tap: ClassVar[int]

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        g: int = 1,
        d: int = 1,
        offset_groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_conv(name, c1, c2, k, s, g)
        divides(name, "offset_groups", offset_groups, c1=c1)
        self.k, self.s, self.p, self.d, self.offset_groups = k, s, autopad(k, d), d, offset_groups
        self.weight = nn.Parameter(torch.empty(c2, c1 // g, k, k))
        self.bias: nn.Parameter | None
        self.register_parameter("bias", nn.Parameter(torch.zeros(c2)) if bias else None)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.conv_offset = nn.Conv2d(c1, self.per_tap * offset_groups * k * k, k, s, self.p, dilation=d)
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def convolve(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Deformable convolution of x with this module's weight at the given offsets."""
        stride, padding, dilation = (self.s, self.s), (self.p, self.p), (self.d, self.d)
        return deform_conv2d(x, offset, self.weight, self.bias, stride, padding, dilation, self.offset_groups, mask)


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size2 = (1, 1),
    padding: Size2 = (0, 0),
    dilation: Size2 = (1, 1),
    offset_groups: int = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Convolution whose kernel taps are moved by `offset` (pixels) and weighted by `mask`.

    x: (N, c1, H, W). weight: (c2, c1 / groups, kh, kw). offset: (N, offset_groups * kh * kw * 2, H', W'), taps row by
    row, each dy then dx. mask: (N, offset_groups * kh * kw, H', W'). Returns (N, c2, H', W').
    """
    operation, at = by_sampling, Taps(stride, padding, dilation, offset_groups)
    if x.shape[1] == weight.shape[1] and applies(x, offset, weight, bias, mask):
        return native.deform_conv2d(x, offset, weight, bias, mask, at, by_sampling)
    if x.is_cuda:
        operation = by_sampling if torch.onnx.is_in_onnx_export() else by_kernel
    elif x.device.type == "cpu" and not (torch.jit.is_tracing() or torch.compiler.is_compiling()):
        wide = x.shape[1] // offset_groups >= _BAG_WIDTH and x.shape[1] == weight.shape[1]
        operation = by_bags if wide else by_sampling
    y = operation(x, offset, weight, bias, mask, at)
    return y.contiguous(memory_format=torch.channels_last) if memory_format(x) is torch.channels_last else y


def by_kernel(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None, at: Taps) -> Tensor:
    """deform_conv2d by torchvision's kernel, which reads offset_groups from the shape of `offset`."""
    from torchvision.ops import deform_conv2d as kernel

    exact = _exact(x)
    bias, mask = (None if given is None else given.to(exact) for given in (bias, mask))
    y = kernel(x.to(exact), offset.to(exact), weight.to(exact), bias, at.stride, at.padding, at.dilation, mask)
    return y.to(x.dtype)


def by_sampling(
    x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None, at: Taps
) -> Tensor:
    """deform_conv2d by `sample` and a 1x1 convolution over channels and taps."""
    n, c1 = x.shape[:2]
    c2, depth, kh, kw = weight.shape
    taps = kh * kw
    h, w = offset.shape[-2:]
    moved = offset.to(_exact(x)).reshape(n * at.offset_groups, taps, 2, h, w)
    down, across = tap_offsets((kh, kw), at.dilation, moved)
    rows = torch.arange(h, dtype=moved.dtype, device=x.device)[:, None] * at.stride[0] - at.padding[0]
    columns = torch.arange(w, dtype=moved.dtype, device=x.device) * at.stride[1] - at.padding[1]
    groups = x.reshape(n * at.offset_groups, c1 // at.offset_groups, *x.shape[-2:])
    seen = sample(groups, moved[:, :, 0] + rows + down, moved[:, :, 1] + columns + across)
    if mask is not None:
        seen = seen * mask.reshape(n * at.offset_groups, 1, taps, h, w)
    seen = seen.reshape(n, c1 * taps, h, w).to(weight.dtype)
    return F.conv2d(seen, weight.reshape(c2, depth * taps, 1, 1), bias, groups=c1 // depth)


# Channels that move together from which on, measured, rows of a table beat grid_sample: 0.5 of its time at 64 and 128,
# the same at 32, twice at 16.
_BAG_WIDTH = 64


def by_bags(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None, at: Taps) -> Tensor:
    """deform_conv2d, not grouped, by `embedding_bag`: each value is four weighted rows of x, channels last."""
    n, c1, high, wide = x.shape
    c2, _, kh, kw = weight.shape
    taps, groups = kh * kw, at.offset_groups
    width = c1 // groups
    h, w = offset.shape[-2:]
    moved = offset.to(_exact(x)).reshape(n, groups, taps, 2, h, w).permute(3, 0, 4, 5, 1, 2)
    down, across = (tap.flatten() for tap in tap_offsets((kh, kw), at.dilation, moved))
    rows = torch.arange(h, dtype=moved.dtype)[:, None, None, None] * at.stride[0] - at.padding[0] + moved[0] + down
    columns = torch.arange(w, dtype=moved.dtype)[:, None, None] * at.stride[1] - at.padding[1] + moved[1] + across
    scale = 1 if mask is None else mask.reshape(n, groups, taps, h, w).permute(0, 3, 4, 1, 2)
    group = torch.arange(n, dtype=torch.int32)[:, None] * (high * wide * groups) + torch.arange(
        groups, dtype=torch.int32
    )
    group = group[:, None, None, :, None]
    corners = [
        (group + (row * wide + column) * groups, of_row * of_column * scale)
        for row, of_row in _neighbours(rows, high)
        for column, of_column in _neighbours(columns, wide)
    ]
    seen = F.embedding_bag(
        torch.stack([index for index, _ in corners], -1).reshape(-1, 4),
        x.to(moved.dtype).permute(0, 2, 3, 1).reshape(-1, width),
        mode="sum",
        per_sample_weights=torch.stack([share for _, share in corners], -1).reshape(-1, 4).to(moved.dtype),
    )
    seen = seen.reshape(n, h, w, taps * c1).to(weight.dtype)
    matrix = weight.reshape(c2, groups, width, taps).transpose(2, 3).reshape(c2, taps * c1)
    return F.linear(seen, matrix, bias).permute(0, 3, 1, 2)


def _neighbours(position: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The whole numbers below and above each position, and their shares; the share is 0 outside 0 .. size - 1."""
    below = position.detach().floor()
    part = position - below
    for whole, share in ((below, 1 - part), (below + 1, part)):
        inside = (whole >= 0) & (whole < size)
        yield whole.clamp(0, size - 1).nan_to_num().to(torch.int32), share * inside


def tap_offsets(k: Size2, d: Size2, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every kernel tap relative to the first, row by row: twice (kh * kw, 1, 1)."""
    down = torch.arange(k[0], dtype=like.dtype, device=like.device).repeat_interleave(k[1]) * d[0]
    across = torch.arange(k[1], dtype=like.dtype, device=like.device).repeat(k[0]) * d[1]
    return down[:, None, None], across[:, None, None]


def sample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Bilinear values of x at (row, column) in pixels, pixel centres at whole numbers, 0 outside the map.

    x: (N, C, H, W); rows, columns: (N, K, H', W'), float32 or float64. Returns (N, C, K, H', W') in their dtype.
    """
    n, taps, h, w = rows.shape
    grid = torch.stack([(2 * columns + 1) / x.shape[-1] - 1, (2 * rows + 1) / x.shape[-2] - 1], dim=-1)
    seen = F.grid_sample(x.to(rows.dtype), grid.reshape(n, taps * h, w, 2), align_corners=False)
    return seen.reshape(n, x.shape[1], taps, h, w)


def _exact(x: Tensor) -> torch.dtype:
    """The type in which positions are computed."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
