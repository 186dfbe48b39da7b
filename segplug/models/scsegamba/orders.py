"""The four orders in which SAVSS visits the pixels of a map, and the direction of each step.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, section 3.3.
The published code misses the inverse of the third order (every entry is the last position); ours is the true inverse,
`as_published` gives theirs. Its direction codes of both diagonal orders lag one step behind; trained weights know them
so, and they are kept.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

START, RIGHT, LEFT, UP, DOWN = range(5)
Pixel = tuple[int, int]


class ScanOrders(NamedTuple):
    """Each (4, H * W), int64. `order`: pixel index at each step. `inverse`: step at which a pixel's value is read."""

    order: Tensor
    inverse: Tensor
    direction: Tensor


@lru_cache(maxsize=32)
def scan_orders(height: int, width: int, as_published: bool = False) -> ScanOrders:
    """Rows from the bottom, columns from the left, anti-diagonals from the top left, and from the top right."""
    with torch.inference_mode(False):  # they stay in the cache, and training cannot save inference tensors
        return _orders(height, width, as_published)


def _orders(height: int, width: int, as_published: bool) -> ScanOrders:
    diagonals = _diagonals(height, width)
    paths = [_rows(height, width), _columns(height, width), diagonals, [(y, width - 1 - x) for y, x in diagonals]]
    lagging = [START, RIGHT, *_directions(diagonals)[1:]][: height * width]
    directions = [_directions(paths[0]), _directions(paths[1]), lagging, lagging]
    order = torch.tensor([[y * width + x for y, x in path] for path in paths])
    inverse = order.argsort(dim=1)
    if as_published:
        inverse[2] = height * width - 1
    return ScanOrders(order, inverse, torch.tensor(directions))


def _rows(height: int, width: int) -> list[Pixel]:
    """Alternating, from the bottom up; the top row runs to the left."""
    return [(y, x) for y in reversed(range(height)) for x in (range(width) if y % 2 else reversed(range(width)))]


def _columns(height: int, width: int) -> list[Pixel]:
    """Alternating, from the left; the first column runs down."""
    return [(y, x) for x in range(width) for y in (reversed(range(height)) if x % 2 else range(height))]


def _diagonals(height: int, width: int) -> list[Pixel]:
    """Alternating, from the top left; even ones run down to the left, odd ones up to the right."""
    path = []
    for d in range(height + width - 1):
        rows = range(max(0, d - width + 1), min(d, height - 1) + 1)
        path += [(y, d - y) for y in (reversed(rows) if d % 2 else rows)]
    return path


def _directions(path: list[Pixel]) -> list[int]:
    """The code of the step to each pixel; a diagonal step counts as down when it goes down, else as right."""
    codes = [START]
    for (y0, x0), (y1, x1) in pairwise(path):
        if y1 > y0:
            codes.append(DOWN)
        elif x1 > x0:
            codes.append(RIGHT)
        else:
            codes.append(UP if y1 < y0 else LEFT)
    return codes
