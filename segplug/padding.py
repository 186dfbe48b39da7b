"""Bring images of any size to a multiple of the encoder's stride, and results back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["crop_to", "pad_to_multiple"]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H', W'), H' and W' multiples; added at the bottom and right.

    The border is mirrored, or repeated where the image is too small for that: both keep the first layers from seeing
    a black edge, which looks like a crack.
    """
    h, w = x.shape[-2:]
    bottom, right = -h % multiple, -w % multiple
    if bottom == 0 and right == 0:
        return x
    mode = "reflect" if bottom < h and right < w else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)


def crop_to(x: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_multiple`."""
    return x[..., :height, :width]
