"""Blocks whose kernels are the same for every image and place."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def _conv(block: Any, x: Tensor, weight: Tensor | None = None) -> Tensor:
    kernel = block.weight if weight is None else weight
    return F.conv2d(x, kernel, block.bias, block.stride, block.padding, block.dilation, block.groups)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def PointwiseConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block, x)


def AtrousConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block, x)


def HDC(block: Any, x: Tensor) -> Tensor:
    for layer in block:
        x = layer(x)
    return x


def TransposedConv(block: Any, x: Tensor) -> Tensor:
    settings = block.stride, block.padding, block.output_padding, block.groups, block.dilation
    return F.conv_transpose2d(x, block.weight, block.bias, *settings)


def SpatialSepConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block.horizontal, _conv(block.vertical, x))


def SeparableConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block.pointwise, _conv(block.conv1, x))


def BottConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block.pointwise_2, _conv(block.depthwise, _conv(block.pointwise_1, x)))


def GroupShuffleConv(block: Any, x: Tensor) -> Tensor:
    return _shuffled(_conv(block.conv, x), block.g)


def HetConv(block: Any, x: Tensor) -> Tensor:
    return _conv(block.gwc, x) + _conv(block.pwc, x, block.pwc.weight * block.mask)


def GatedConv(block: Any, x: Tensor) -> Tensor:
    """Features and gate by a convolution each, as the formula has two kernels."""
    features, gates = block.conv.weight.chunk(2)
    shift, gate_shift = block.conv.bias.chunk(2)
    s, p, d = block.conv.stride, block.conv.padding, block.conv.dilation
    return F.elu(F.conv2d(x, features, shift, s, p, d)) * torch.sigmoid(F.conv2d(x, gates, gate_shift, s, p, d))


def PartialConv(block: Any, x: Tensor) -> Tensor:
    """Without a mask: (raw - b) r m' + b m', r from a convolution of ones with ones."""
    seen = F.conv2d(torch.ones_like(x[:1, :1]), torch.ones(1, 1, *block.kernel_size).to(x), None, 1, block.padding)
    after = seen.clamp(0, 1)
    ratio = block.kernel_size[0] ** 2 / (seen + block.eps) * after
    bias = block.bias[:, None, None]
    return ((_conv(block, x) - bias) * ratio + bias) * after


def DOConv(block: Any, x: Tensor) -> Tensor:
    c2, depth, _, hidden = block.W.shape
    weight = torch.einsum("ims,ois->oim", block.D.squeeze(1) + block.d_diag, block.W.reshape(c2, depth, hidden))
    return F.conv2d(x, weight.reshape(c2, depth, block.k, block.k), block.bias, block.s, block.p, block.d)


def ACBlock(block: Any, x: Tensor) -> Tensor:
    branches = (("square_conv", "square_bn"), ("ver_conv", "ver_bn"), ("hor_conv", "hor_bn"))
    square, tall, wide = (getattr(block, bn)(_conv(getattr(block, conv), x)) for conv, bn in branches)
    return square + tall + wide


def DBB(block: Any, x: Tensor) -> Tensor:
    return block.dbb_origin(x) + block.dbb_1x1(x) + block.dbb_avg(x) + block.dbb_1x1_kxk(x)


def RepVGGBlock(block: Any, x: Tensor) -> Tensor:
    return block.rbr_dense(x) + block.rbr_1x1(x) + block.rbr_identity(x)


def GraphConv(block: Any, x: Tensor) -> Tensor:
    """The normalised adjacency matrix of all pixels as a sparse matrix, times their features."""
    n, c, h, w = x.shape
    index = torch.arange(h * w).reshape(1, 1, h, w)
    pairs = [(index, index), (index[..., 1:], index[..., :-1]), (index[..., 1:, :], index[..., :-1, :])]
    rows = torch.cat([torch.cat([a.flatten(), b.flatten()]) for a, b in pairs])
    columns = torch.cat([torch.cat([b.flatten(), a.flatten()]) for a, b in pairs])
    rows, columns = rows[h * w :], columns[h * w :]  # a pixel is its own neighbour once
    root = torch.bincount(rows).to(x.dtype).rsqrt()
    matrix = torch.sparse_coo_tensor(
        torch.stack([rows, columns]), root[rows] * root[columns], (h * w, h * w), check_invariants=False
    )
    pixels = x.permute(2, 3, 0, 1).reshape(h * w, n * c)
    mixed = torch.sparse.mm(matrix, pixels).reshape(h, w, n, c) @ block.weight + block.bias
    return mixed.permute(2, 3, 0, 1)


def OctaveConv(block: Any, x: Tensor) -> Tensor:
    first, last = block.first.conv, block.last
    high, low = first.conv_h2h(x), first.conv_h2l(F.avg_pool2d(x, 2))
    high, low = F.relu(block.first.bn_h(high)), F.relu(block.first.bn_l(low))
    return last.conv_h2h(high) + F.interpolate(last.conv_l2h(low), scale_factor=2, mode="nearest")


def GhostModule(block: Any, x: Tensor) -> Tensor:
    primary = block.primary_conv(x)
    return torch.cat([primary, block.cheap_operation(primary)], dim=1)[:, : block.c2]


def HSBlock(block: Any, x: Tensor) -> Tensor:
    first, *groups = x.split(block.sizes, dim=1)
    out, handed = [first], None
    for i, (group, layers) in enumerate(zip(groups, list(block.module_list)[1:], strict=True)):
        y = layers(group if handed is None else torch.cat([group, handed], dim=1))
        if i < len(groups) - 1:
            y, handed = y.split([y.shape[1] - y.shape[1] // 2, y.shape[1] // 2], dim=1)
        out.append(y)
    return torch.cat(out, dim=1)


def _branches(block: Any, x: Tensor) -> Tensor:
    return torch.cat([branch(x) for branch in block.children()], dim=1)


def InceptionV1(block: Any, x: Tensor) -> Tensor:
    return _branches(block, x)


def InceptionV2(block: Any, x: Tensor) -> Tensor:
    return _branches(block, x)


def InceptionV3(block: Any, x: Tensor) -> Tensor:
    return _branches(block, x)


def InceptionV4(block: Any, x: Tensor) -> Tensor:
    return _branches(block, x)
