"""Where a deformable block looks: the positions of its taps on its input, and how much each counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from yoloplug.blocks.dcn_v3 import DCNv3
from yoloplug.blocks.dcn_v4 import DCNv4
from yoloplug.blocks.parts.deformable.deform_conv2d import DeformablePack, tap_offsets
from yoloplug.blocks.parts.padding import autopad

DEFORMABLE = (DeformablePack, DCNv3, DCNv4)


@dataclass(frozen=True)
class Sampling:
    """Positions in pixels of the block's input map, pixel centres at whole numbers, row then column.

    regular, moved: (groups, taps, 2, H', W'), of the undeformed taps and of those that the block read; H', W': its
    output. weights: (groups, taps, H', W'), the modulation, or None for DCNv1. size: (H, W) of the input map.
    """

    regular: Tensor
    moved: Tensor
    weights: Tensor | None
    size: tuple[int, int]

    @property
    def displacement(self) -> Tensor:
        return self.moved - self.regular


def sampling(block: nn.Module, offset: Tensor, weights: Tensor | None, size: tuple[int, int]) -> Sampling:
    """offset, weights: as the block watched them, for one image. size: (H, W) of its input map."""
    if isinstance(block, DeformablePack):
        return _of_pack(block, offset, weights, size)
    assert isinstance(block, DCNv3 | DCNv4)
    if isinstance(block, DCNv3):  # (2, N, groups, taps, H, W), across first
        across, down = offset[:, 0]
    else:  # (N, groups, taps * 2, H, W), across and down in turn
        across, down = offset[0, :, 0::2], offset[0, :, 1::2]
    # Taps run column by column: the first of tap_offsets is the slow one.
    slow, fast = tap_offsets((block.k, block.k), (block.d, block.d), across)
    if block.remove_center:
        kept = [tap for tap in range(block.k**2) if tap != block.k**2 // 2]
        slow, fast = slow[kept], fast[kept]
    p, scale = autopad(block.k, block.d), block.offset_scale
    rows, columns = _grid(across, 1)
    regular = torch.stack([rows + (fast - p) * scale, columns + (slow - p) * scale], dim=1)
    moved = regular + torch.stack([down, across], dim=2) * scale
    assert weights is not None
    return Sampling(regular.expand_as(moved), moved, weights[0], size)


def _of_pack(block: DeformablePack, offset: Tensor, weights: Tensor | None, size: tuple[int, int]) -> Sampling:
    h, w = offset.shape[-2:]
    moves = offset.reshape(block.offset_groups, block.k**2, 2, h, w)
    down, across = tap_offsets((block.k, block.k), (block.d, block.d), moves)
    rows, columns = _grid(moves, block.s)
    regular = torch.stack([rows - block.p + down, columns - block.p + across], dim=1)
    shares = None if weights is None else weights.reshape(block.offset_groups, block.k**2, h, w)
    return Sampling(regular.expand_as(moves), regular + moves, shares, size)


def _grid(like: Tensor, s: int) -> tuple[Tensor, Tensor]:
    """Row and column of each output position on the input map: twice (H', W')."""
    h, w = like.shape[-2:]
    rows = torch.arange(h, dtype=like.dtype)[:, None] * s
    columns = torch.arange(w, dtype=like.dtype) * s
    return rows.expand(h, w), columns.expand(h, w)
