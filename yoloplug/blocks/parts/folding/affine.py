"""Absorb a per-channel affine map (a folded BatchNorm) into the linear layer before it, the block's last."""

from typing import ClassVar

import torch
from torch import Tensor, nn


@torch.no_grad()
def absorb_affine(layer: nn.Module, scale: Tensor, shift: Tensor, name: str = "weight") -> None:
    """Change a layer y = W x + b in place into scale * y + shift. A layer without bias gains one.

    layer: has W (c2, ...) as parameter `name`, (c1, c2 / groups, k, k) in an nn.ConvTranspose2d, and `bias` (c2,) or
    None. scale, shift: (c2,).
    """
    weight, bias = layer.get_parameter(name), layer._parameters["bias"]
    if isinstance(layer, nn.ConvTranspose2d):
        per_group = weight.view(layer.groups, -1, *weight.shape[1:])
        per_group.mul_(scale.to(weight).reshape(layer.groups, 1, -1, 1, 1))
    else:
        weight.mul_(scale.to(weight).reshape(-1, *[1] * (weight.dim() - 1)))
    if bias is None:
        layer.register_parameter("bias", nn.Parameter(shift.to(weight).clone(), weight.requires_grad))
    else:
        bias.mul_(scale.to(bias)).add_(shift.to(bias))


@torch.no_grad()
def absorbed(block: nn.Module, scale: Tensor, shift: Tensor) -> nn.Module:
    """Make the block's output scale * y + shift per channel, in place where its last step is linear.

    Returns what then has to stand behind it: the identity, or a per-channel 1x1 convolution.
    """
    fold = getattr(block, "fold_affine", None)
    if fold is not None:
        fold(scale, shift)
    elif isinstance(block, nn.Conv2d):
        absorb_affine(block, scale, shift)
    else:
        affine = nn.Conv2d(len(scale), len(scale), 1, groups=len(scale)).to(scale).requires_grad_(False)
        affine.weight.copy_(scale.reshape(-1, 1, 1, 1))
        assert affine.bias is not None
        affine.bias.copy_(shift)
        return affine
    return nn.Identity()


class AbsorbsAffine(nn.Module):
    """A block that ends in one linear layer, `last_layer` by its name in the block; without a name it is that layer."""

    last_layer: ClassVar[str] = ""

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        """Make the output scale * y + shift per channel, in place."""
        absorb_affine(self.get_submodule(self.last_layer), scale, shift)
