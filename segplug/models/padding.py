"""Bring images of any size to a multiple of the encoder's stride, and results back."""

import torch
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H', W'), H' and W' multiples; added at the bottom and right.

    The border is mirrored, to and fro where the image is smaller than what is added: it keeps the first layers from
    seeing a black edge, which looks like a crack. No branch on the size, so that an exported network pads as well.
    """
    rows, columns = (_mirrored(x.shape[axis], multiple, x.device) for axis in (-2, -1))
    return x.index_select(-2, rows).index_select(-1, columns)


def crop_to(x: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_multiple`."""
    return x[..., :height, :width]


def _mirrored(length: int, multiple: int, device: torch.device) -> Tensor:
    """Indices 0 … length - 1, then back and forth up to a multiple."""
    index = torch.arange(length + (-length) % multiple, device=device)
    there_and_back = index % (2 * length - 2 + 1 // length)  # 1 // length: no division by 0 for one pixel
    return torch.minimum(there_and_back, 2 * length - 2 - there_and_back)
