"""Whole residual units, and the layers between HorNet's stages."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.speed.formulations.adaptive import SelfCalConv as _self_cal_conv
from experiments.speed.formulations.adaptive import SplitAttention, gnConv
from experiments.speed.formulations.fixed import GhostModule, SeparableConv


def _layer_norm(norm: Any, x: Tensor) -> Tensor:
    """LayerNorm over channels as HorNet and ConvNeXt write it for maps (N, C, H, W)."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + norm.eps)
    return norm.weight[:, None, None] * x + norm.bias[:, None, None]


def HorBlock(block: Any, x: Tensor) -> Tensor:
    x = x + block.gamma1.weight[:, None, None] * gnConv(block.gnconv, _layer_norm(block.norm1, x))
    y = block.pwconv2(F.gelu(block.pwconv1(block.norm2(x.permute(0, 2, 3, 1)))))
    return x + (block.gamma2.weight * y).permute(0, 3, 1, 2)


def HorStem(block: Any, x: Tensor) -> Tensor:
    conv, norm = block
    return _layer_norm(norm, F.conv2d(x, conv.weight, conv.bias, conv.stride))


def HorDownsample(block: Any, x: Tensor) -> Tensor:
    norm, conv = block
    return F.conv2d(_layer_norm(norm, x), conv.weight, conv.bias, conv.stride)


def GhostUnit(block: Any, x: Tensor) -> Tensor:
    return GhostModule(block.ghost2, GhostModule(block.ghost1, x)) + x


def ShuffleUnit(block: Any, x: Tensor) -> Tensor:
    y = F.relu(block.g_conv_1x1_compress(x))
    n, c, h, w = y.shape
    y = y.view(n, block.g, c // block.g, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
    y = block.bn_after_depthwise(block.depthwise_conv3x3(y))
    return F.relu(x + block.g_conv_1x1_expand(y))


def ShuffleV2Unit(block: Any, x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    y = torch.cat([a, block.branch2(b)], dim=1)
    n, c, h, w = y.shape
    return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def XceptionBlock(block: Any, x: Tensor) -> Tensor:
    y = x
    for start in range(0, len(block.rep), 3):
        _, conv, norm = block.rep[start : start + 3]
        y = norm(SeparableConv(conv, F.relu(y)))
    return y + x


def SelfCalBottleneck(block: Any, x: Tensor) -> Tensor:
    a = F.relu(block.k1(F.relu(block.bn1_a(block.conv1_a(x)))))
    b = F.relu(_self_cal_conv(block.scconv, F.relu(block.bn1_b(block.conv1_b(x)))))
    return F.relu(block.bn3(block.conv3(torch.cat([a, b], dim=1))) + x)


def Res2NetBottleneck(block: Any, x: Tensor) -> Tensor:
    first, *parts = F.relu(block.bn1(block.conv1(x))).chunk(block.scale, dim=1)
    out = [first]
    for i, (part, conv, norm) in enumerate(zip(parts, block.convs, block.bns, strict=True)):
        out.append(F.relu(norm(conv(part + out[-1] if i else part))))
    return F.relu(block.bn3(block.conv3(torch.cat(out, dim=1))) + x)


def ResNeStBottleneck(block: Any, x: Tensor) -> Tensor:
    y = SplitAttention(block.conv2, F.relu(block.bn1(block.conv1(x))))
    return F.relu(block.bn3(block.conv3(y)) + x)


def CondConvResidual(block: Any, x: Tensor) -> Tensor:
    """As timm's unit: all images as groups of one convolution, three times with the same shares."""
    share = torch.sigmoid(block.routing_fn(F.adaptive_avg_pool2d(x, 1).flatten(1)))
    n, y = len(x), x
    for conv, norm, act in (
        (block.conv_pw, block.bn1, F.silu),
        (block.conv_dw, block.bn2, F.silu),
        (block.conv_pwl, block.bn3, None),
    ):
        kernels = (share @ torch.stack(list(conv.kernels)).flatten(1)).reshape(-1, *conv.kernel_shape[1:])
        wide = y.reshape(1, -1, *y.shape[2:])
        y = F.conv2d(wide, kernels, padding=conv.padding, groups=n * conv.g).reshape(n, -1, *y.shape[2:])
        y = norm(y) if act is None else act(norm(y))
    return x + y
