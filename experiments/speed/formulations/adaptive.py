"""Blocks that weigh, gate or mix by what they see."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def gnConv(block: Any, x: Tensor) -> Tensor:
    p, q = block.proj_in(x).split([block.dims[0], sum(block.dims)], dim=1)
    first, *gates = (block.dwconv(q) * block.scale).split(block.dims, dim=1)
    p = p * first
    for widen, gate in zip(block.pws, gates, strict=True):
        p = widen(p) * gate
    return block.proj_out(p)


def SCConv(block: Any, x: Tensor) -> Tensor:
    return _cru(block.CRU, _sru(block.SRU, x))


def _sru(block: Any, x: Tensor) -> Tensor:
    gain = block.gn.weight
    weights = torch.sigmoid(block.gn(x) * (gain / sum(gain)).reshape(1, -1, 1, 1))
    rich = torch.where(weights > 0.5, torch.ones_like(weights), weights) * x
    poor = torch.where(weights > 0.5, torch.zeros_like(weights), weights) * x
    (a, b), (c, d) = rich.chunk(2, dim=1), poor.chunk(2, dim=1)
    return torch.cat([a + d, b + c], dim=1)


def _cru(block: Any, x: Tensor) -> Tensor:
    up, low = x.split(block.parts, dim=1)
    up, low = block.squeeze1(up), block.squeeze2(low)
    both = torch.cat([block.GWC(up) + block.PWC1(up), block.PWC2(low), low], dim=1)
    both = both * F.adaptive_avg_pool2d(both, 1).softmax(1)
    first, second = both.chunk(2, dim=1)
    return first + second


def GBC(block: Any, x: Tensor) -> Tensor:
    def part(layers: Any, x: Tensor) -> Tensor:
        bott, norm, _ = layers
        y = bott.pointwise_2(bott.depthwise(bott.pointwise_1(x)))
        return F.relu(F.group_norm(y, norm.num_groups, norm.weight, norm.bias, norm.eps))

    return part(block.block4, part(block.block2, part(block.block1, x)) * part(block.block3, x)) + x


def _windows(x: Tensor, k: int) -> Tensor:
    n, c, h, w = x.shape
    return F.unfold(x, k, padding=k // 2).reshape(n, c, k * k, h, w)


def Involution(block: Any, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    kernels = block.conv2(F.relu(block.conv1(x))).reshape(n, -1, 1, block.k**2, h, w)
    windows = _windows(x, block.k).reshape(n, kernels.shape[1], -1, block.k**2, h, w)
    return (kernels * windows).sum(3).reshape(n, c, h, w)


def DynamicFilter(block: Any, x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    filters = block.generator(x).reshape(n, 1, block.k**2, h, w).softmax(2)
    return (filters * _windows(x, block.k)).sum(2)


def DDF(block: Any, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    of_place = block.spatial_branch(x).reshape(n, 1, block.k**2, h, w)
    of_channel = block.channel_branch(x).reshape(n, c, block.k**2, 1, 1)
    return (of_place * of_channel * _windows(x, block.k)).sum(2)


def _per_image(x: Tensor, kernels: Tensor, shape: Any, bias: Tensor | None, p: int) -> Tensor:
    """All images as groups of one convolution, as every published code does it."""
    n, c, h, w = x.shape
    kernels = kernels.reshape(n * shape[0], *shape[1:])
    y = F.conv2d(x.reshape(1, n * c, h, w), kernels, None if bias is None else bias.flatten(), padding=p, groups=n)
    return y.reshape(n, shape[0], h, w)


def _mixed(block: Any, share: Tensor) -> Tensor:
    return share @ torch.stack(list(block.kernels)).flatten(1)


def CondConv(block: Any, x: Tensor) -> Tensor:
    share = torch.sigmoid(block.routing_fn(F.adaptive_avg_pool2d(x, 1).flatten(1)))
    return _per_image(x, _mixed(block, share), block.kernel_shape, None, block.padding)


def DynamicConv(block: Any, x: Tensor) -> Tensor:
    attention = block.attention
    logits = attention.fc2(F.relu(attention.fc1(F.adaptive_avg_pool2d(x, 1)))).flatten(1)
    share = F.softmax(logits / attention.temperature, dim=1)
    return _per_image(x, _mixed(block, share), block.kernel_shape, None, block.padding)


def ODConv(block: Any, x: Tensor) -> Tensor:
    """As published: every kernel is gated for each image, then the kernels are summed."""
    attention, k, n = block.attention, block.kernel_shape[-1], len(x)
    z = F.relu(attention.bn(attention.fc(F.adaptive_avg_pool2d(x, 1))))
    channel, filters, spatial = (
        torch.sigmoid(getattr(attention, f"{name}_fc")(z) / attention.temperature)
        for name in ("channel", "filter", "spatial")
    )
    share = F.softmax(attention.kernel_fc(z).reshape(n, -1, 1, 1, 1, 1) / attention.temperature, dim=1)
    kernels = torch.stack(list(block.kernels))[None] * spatial.reshape(n, 1, 1, 1, k, k) * share
    y = _per_image(x * channel, kernels.sum(1), block.kernel_shape, None, block.padding)
    return y * filters


def CondParamConv(block: Any, x: Tensor) -> Tensor:
    z = F.silu(block.embed(F.adaptive_avg_pool2d(x, 1).flatten(1)))
    c2, c1, k, _ = block.kernel_shape
    codes = block.codes(z).reshape(-1, c1, block.weight.shape[1])
    columns = codes @ block.weight.t() + block.kernel_bias
    kernels = columns.reshape(-1, c1, c2, k, k).transpose(1, 2)
    return _per_image(x, kernels, block.kernel_shape, block.shifts(z), block.p)


def SelfCalConv(block: Any, x: Tensor) -> Tensor:
    _, conv, norm = block.k2
    coarse = norm(conv(F.avg_pool2d(x, 4)))
    gate = torch.sigmoid(x + F.interpolate(coarse, x.shape[2:]))
    return block.k4(block.k3(x) * gate)


def SplitAttention(block: Any, x: Tensor) -> Tensor:
    parts = F.relu(block.bn0(block.conv(x)))
    n, _, h, w = parts.shape
    parts = parts.reshape(n, block.radix, -1, h, w)
    pooled = F.adaptive_avg_pool2d(parts.sum(1), 1)
    logits = block.fc2(F.relu(block.bn1(block.fc1(pooled))))
    weights = logits.reshape(n, block.radix, -1, 1, 1).softmax(1)
    return (parts * weights).sum(1)


def RepVGGSEBlock(block: Any, x: Tensor) -> Tensor:
    inner = block.branches
    y = inner.rbr_dense(x) + inner.rbr_1x1(x) + inner.rbr_identity(x)
    hidden = F.relu(block.se.down(F.adaptive_avg_pool2d(y, 1)))
    return y * torch.sigmoid(block.se.up(hidden))
