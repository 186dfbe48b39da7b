"""Fold the BatchNorm layers inside a block into the convolutions before them, for inference."""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d


def bn_affine(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(scale, shift) with which a BatchNorm in eval mode maps each channel: y = scale * x + shift."""
    mean, var = bn.statistics() if isinstance(bn, CorrectedBatchNorm2d) else (bn.running_mean, bn.running_var)
    assert mean is not None and var is not None
    root = torch.sqrt(var + bn.eps)
    scale = (torch.ones_like(root) if bn.weight is None else bn.weight) / root
    shift = -mean * scale
    return scale, shift if bn.bias is None else shift + bn.bias


@torch.no_grad()
def fold_bn(conv: nn.Module, bn: nn.Module) -> nn.Identity:
    """Fold `bn` into `conv` in place; returns the Identity that takes the place of `bn`."""
    assert isinstance(bn, nn.BatchNorm2d)
    fold = getattr(conv, "fold_affine", partial(absorb_affine, conv))
    fold(*bn_affine(bn))
    return nn.Identity()


def fold_named(module: nn.Module, **conv_of: str) -> None:
    """Fold BatchNorms by name, in place; again is harmless: fold_named(self, bn1="conv1", **{"bns.0": "convs.0"})."""
    for name, conv in conv_of.items():
        owner, _, last = name.rpartition(".")
        bn = module.get_submodule(name)
        if isinstance(bn, nn.BatchNorm2d):
            module.get_submodule(owner).register_module(last, fold_bn(module.get_submodule(conv), bn))


def fold_norms(module: nn.Module) -> None:
    """Fold every BatchNorm that follows a convolution in `module`, in place; again is harmless.

    Found: neighbours in a Sequential, and the attribute pair `conv`, `bn`. A block with other names has a method
    `fold_norms()` of its own, built on `fold_bn`, which is called for it.
    """
    for part in module.modules():
        own = getattr(part, "fold_norms", None)
        if own is not None:
            own()
        elif isinstance(part, nn.Sequential):
            for (_, conv), (name, bn) in pairwise(list(part.named_children())):
                if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(bn, nn.BatchNorm2d):
                    setattr(part, name, fold_bn(conv, bn))
        elif isinstance(getattr(part, "bn", None), nn.BatchNorm2d) and isinstance(
            getattr(part, "conv", None), nn.Conv2d | nn.ConvTranspose2d
        ):
            part.bn = fold_bn(part.get_submodule("conv"), part.get_submodule("bn"))
