"""Deformable convolutions: torchvision's operation, grid sampling, and the loop over groups and taps."""

from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F


def DCNv1(block: Any, x: Tensor) -> Tensor:
    return torchvision.ops.deform_conv2d(x, block.conv_offset(x), block.weight, block.bias, padding=block.p)


def DCNv2(block: Any, x: Tensor) -> Tensor:
    down, across, mask = block.conv_offset(x).chunk(3, dim=1)
    offset = torch.cat([down, across], dim=1)
    return torchvision.ops.deform_conv2d(x, offset, block.weight, block.bias, padding=block.p, mask=mask.sigmoid())


def _taps(k: int) -> list[tuple[int, int]]:
    """(across, down) of every tap from the centre, column by column."""
    return [(across, down) for across in range(-(k // 2), k // 2 + 1) for down in range(-(k // 2), k // 2 + 1)]


def DCNv3(block: Any, x: Tensor) -> Tensor:
    """As InternImage's DCNv3_pytorch: one grid of all taps, sampled from the padded map, then weighed and summed."""
    n, c, h, w = x.shape
    g, k = block.groups, block.k
    features = block.dw_conv(x)  # (N, H, W, C)
    value = F.pad(block.input_proj(x.permute(0, 2, 3, 1)), (0, 0, 1, 1, 1, 1))
    offset = block.offset(features).reshape(n, h, w, g, k * k, 2)
    mask = block.mask(features).reshape(n, h * w, g, k * k).softmax(-1)
    down, across = torch.meshgrid(torch.arange(h).to(x), torch.arange(w).to(x), indexing="ij")
    places = torch.stack([across, down], -1)[:, :, None, None] + 1 + torch.tensor(_taps(k)).to(x) + offset
    size = torch.tensor([w + 2, h + 2]).to(x)
    grid = (2 * places + 1) / size - 1
    grid = grid.reshape(n, h * w, g, k * k, 2).transpose(1, 2).flatten(0, 1)
    groups = value.flatten(1, 2).transpose(1, 2).reshape(n * g, c // g, h + 2, w + 2)
    seen = F.grid_sample(groups, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    weights = mask.transpose(1, 2).reshape(n * g, 1, h * w, k * k)
    y = (seen * weights).sum(-1).reshape(n, c, h * w).transpose(1, 2).reshape(n, h, w, c)
    return block.output_proj(y).permute(0, 3, 1, 2)


def DCNv4(block: Any, x: Tensor) -> Tensor:
    """As the pure form of the authors' kernel: for each group and tap four corners are gathered and weighed."""
    n, c, h, w = x.shape
    g, k, width = block.groups, block.k, c // block.groups
    pixels = x.permute(0, 2, 3, 1)
    value, predicted = block.value_proj(pixels), block.offset_mask(pixels)
    down, across = torch.meshgrid(torch.arange(h).to(x), torch.arange(w).to(x), indexing="ij")
    groups = []
    for group in range(g):
        table = value[..., group * width : (group + 1) * width].reshape(n, h * w, width)
        own = predicted[..., 3 * k * k * group : 3 * k * k * (group + 1)]
        total = torch.zeros_like(table)
        for tap, (dx, dy) in enumerate(_taps(k)):
            at_x, at_y = across + dx + own[..., 2 * tap], down + dy + own[..., 2 * tap + 1]
            weight = own[..., 2 * k * k + tap]
            left, top = at_x.detach().floor(), at_y.detach().floor()
            for column, of_column in ((left, 1 - (at_x - left)), (left + 1, at_x - left)):
                for row, of_row in ((top, 1 - (at_y - top)), (top + 1, at_y - top)):
                    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
                    index = (row.clamp(0, h - 1) * w + column.clamp(0, w - 1)).long().reshape(n, h * w, 1)
                    share = (of_row * of_column * inside * weight).reshape(n, h * w, 1)
                    total = total + table.gather(1, index.expand(-1, -1, width)) * share
        groups.append(total)
    y = torch.cat(groups, dim=-1).reshape(n, h, w, c)
    return block.output_proj(y).permute(0, 3, 1, 2)
