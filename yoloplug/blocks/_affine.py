"""Absorb a per-channel affine map (a folded BatchNorm) into the linear layer before it."""

import torch
from torch import Tensor, nn

__all__ = ["absorb_affine"]


@torch.no_grad()
def absorb_affine(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
    """Change a layer y = W x + b in place into scale * y + shift and return its bias (a new one where it had none).

    weight: (c2, ...); bias, scale, shift: (c2,).
    """
    weight.mul_(scale.to(weight).reshape(-1, *[1] * (weight.dim() - 1)))
    if bias is None:
        return nn.Parameter(shift.to(weight).clone(), requires_grad=weight.requires_grad)
    bias.mul_(scale.to(bias)).add_(shift.to(bias))
    return bias
