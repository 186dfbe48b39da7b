"""A norm and the activation behind it, trained in one pass over the map each way where a kernel can.

Torch takes two or three, and keeps the map between the two: on a CPU that is a third of a light layer's time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.blocks.parts.norms.group_norm import GroupNorm
from yoloplug.native.normalise import Act, batch_normalise, group_normalise
from yoloplug.native.use import applies, hooked

LEAST = 1 << 16
"""Values of a map below which calls cost more than passes; in channels_last, where torch is faster, twice of it."""

_ACTS: dict[type[nn.Module], Act] = {nn.ReLU: "relu", nn.SiLU: "silu"}


def normalised(norm: nn.Module, x: Tensor, act: Act | nn.Module = "") -> Tensor:
    """act(norm(x)); both are any modules: what no kernel computes is called, so is one with hooks."""
    if isinstance(act, nn.Module):
        known = None if hooked(act) else _ACTS.get(type(act)) or getattr(act, "computes", None)
        return act(normalised(norm, x)) if known is None else normalised(norm, x, known)
    if applies(x) and x.dim() == 4 and x.dtype != torch.bfloat16 and x.numel() >= _least(x) and not hooked(norm):
        if type(norm) is nn.BatchNorm2d and norm.training and norm.affine and norm.track_running_stats:
            one_pass = act or x.is_contiguous()  # torch's in channels_last is one pass too
            if one_pass and x.numel() > x.shape[1] and applies(norm.weight, norm.bias):
                return _by_batch(norm, x, act)
        elif isinstance(norm, nn.GroupNorm) and type(norm) in (GroupNorm, nn.GroupNorm):
            if applies(norm.weight, norm.bias):
                gain = torch.ones(x.shape[1]) if norm.weight is None else norm.weight
                shift = torch.zeros(x.shape[1]) if norm.bias is None else norm.bias
                return group_normalise(x, gain, shift, norm.num_groups, norm.eps, act)
    y: Tensor = norm(x)
    return y if not act else F.relu(y) if act == "relu" else F.silu(y)


def _least(x: Tensor) -> int:
    return LEAST if x.is_contiguous() else 2 * LEAST


def _by_batch(norm: nn.BatchNorm2d, x: Tensor, act: Act) -> Tensor:
    """With nn.BatchNorm2d's running statistics moved on."""
    y, mean, variance = batch_normalise(x, norm.weight, norm.bias, norm.eps, act)
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        count = x.numel() // x.shape[1]
        norm.running_mean.lerp_(mean.to(norm.running_mean), share)
        norm.running_var.lerp_((variance * (count / (count - 1))).to(norm.running_var), share)
    return y


class Chain(nn.Sequential):
    """nn.Sequential in which a norm and the activation behind it are one pass, and depthwise convolutions by kernel.

    An activation is an nn.ReLU, an nn.SiLU, or a module whose `computes` names one of them.
    """

    def forward(self, input: Tensor) -> Tensor:
        layers, x = list(self), input
        while layers:
            layer = layers.pop(0)
            if not isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                x = convolved(layer, x)
            elif layers and (type(layers[0]) in _ACTS or hasattr(layers[0], "computes")):
                x = normalised(layer, x, layers.pop(0))
            else:
                x = normalised(layer, x)
        return x
