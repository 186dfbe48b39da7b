"""Exact outlines of a mask along its pixels' edges, row by row: memory grows with the outlines, not with the mask.

A crack is an 8-connected set of pixels. Its geometry is a MultiPolygon of 4-connected parts, so that no ring touches
itself and every polygon is valid; pixels that meet at a corner only belong to one crack but to two of its polygons.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segplug.arrays import Mask

Ring = NDArray[np.int64]
Polygon = list[Ring]
"""The outer ring, then its holes; (V, 2) corners x, y in pixel edges, 0, 0 the image's top left corner."""
CrackPolygons = list[Polygon]
Ints = NDArray[np.int64]


class OutlineTracer:
    """Give it the mask's rows from the top, then ask for the cracks."""

    def __init__(self, width: int) -> None:
        self._last = np.zeros((1, width), dtype=bool)
        self._top = 0
        self._corners: list[Ints] = []
        self._edges: list[Ints] = []

    def add(self, rows: Mask) -> None:
        """The next (h, width) rows."""
        block = np.pad(np.concatenate([self._last, rows]), ((0, 0), (1, 1)))
        above, below = block[:-1], block[1:]
        up, down = above[:, :-1] != above[:, 1:], below[:, :-1] != below[:, 1:]
        left, right = above[:, :-1] != below[:, :-1], above[:, 1:] != below[:, 1:]
        # A corner is where an edge comes in from one side and leaves up or down; two are where pixels touch diagonally.
        self._keep(left ^ right, right, down)
        diagonal = left & right & up & down
        falling = diagonal & above[:, :-1]
        for which, way_right, way_down in ((falling, 0, 0), (falling, 1, 1), (diagonal ^ falling, 1, 0),
                                           (diagonal ^ falling, 0, 1)):  # fmt: skip
            self._keep(which, np.full(which.shape, way_right), np.full(which.shape, way_down))
        y, x = np.nonzero(down)
        self._edges.append(np.stack([y + self._top, x], axis=1))
        self._top += len(rows)
        self._last = rows[-1:]

    def cracks(self) -> list[CrackPolygons]:
        """All cracks, from the top. No rows can follow."""
        self.add(np.zeros_like(self._last))
        corners, edges = np.concatenate(self._corners), np.concatenate(self._edges)
        if len(corners) == 0:
            return []
        y, x, right, down = corners.T
        along_row = _pairs(np.lexsort((right, x, y)))
        along_column = _pairs(np.lexsort((down, y, x)))
        ring = _components(len(corners), *along_row, *along_column)
        rings = _walk(corners, along_row, along_column, ring)
        left, rightmost = _rings_of_runs(corners, edges, along_column, ring)
        part = _components(len(rings), left, rightmost)
        in_place = np.lexsort((x, y))
        twice = np.flatnonzero((np.diff(y[in_place]) == 0) & (np.diff(x[in_place]) == 0))
        crack = _components(len(rings), left, rightmost, ring[in_place[twice]], ring[in_place[twice + 1]])
        return _nested(rings, part, crack)

    def _keep(self, which: Mask, right: NDArray[np.int_], down: NDArray[np.int_]) -> None:
        y, x = np.nonzero(which)
        self._corners.append(np.stack([y + self._top, x, right[y, x], down[y, x]], axis=1).astype(np.int64))


def _pairs(order: Ints) -> tuple[Ints, Ints]:
    """Along a line edges begin and end by turns."""
    return order[0::2], order[1::2]


def _components(count: int, *links: Ints) -> Ints:
    """Number of the component of each node; links come as from, to, from, to …"""
    start, end = np.concatenate(links[0::2]), np.concatenate(links[1::2])
    graph = coo_array((np.ones(len(start), dtype=bool), (start, end)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _walk(corners: Ints, row: tuple[Ints, Ints], column: tuple[Ints, Ints], ring: Ints) -> list[Ring]:
    """The corners of each ring in turn."""
    across, along = np.empty(len(corners), dtype=np.int64), np.empty(len(corners), dtype=np.int64)
    across[row[0]], across[row[1]] = row[1], row[0]
    along[column[0]], along[column[1]] = column[1], column[0]
    to_right, to_next = across.tolist(), along.tolist()
    rings = []
    for first in np.unique(ring, return_index=True)[1].tolist():
        path: list[int] = []
        at = first
        while not path or at != first:
            path += [at, to_right[at]]
            at = to_next[to_right[at]]
        rings.append(corners[path][:, 1::-1])
    return rings


def _rings_of_runs(corners: Ints, edges: Ints, column: tuple[Ints, Ints], ring: Ints) -> tuple[Ints, Ints]:
    """The rings that bound each run of pixels in a row at its left and at its right."""
    height = int(corners[:, 0].max()) + 1
    starts = corners[column[0], 1] * height + corners[column[0], 0]
    by_start = np.argsort(starts)
    segment = np.searchsorted(starts[by_start], edges[:, 1] * height + edges[:, 0], side="right") - 1
    of_edge = ring[column[0]][by_start][segment]  # edges lie row by row, from the left
    return of_edge[0::2], of_edge[1::2]


def _nested(rings: list[Ring], part: Ints, crack: Ints) -> list[CrackPolygons]:
    polygons: dict[int, Polygon] = {}
    for polygon, one in zip(part.tolist(), rings, strict=True):
        polygons.setdefault(polygon, []).append(one)
    cracks: dict[int, CrackPolygons] = {}
    for polygon, number in dict(zip(part.tolist(), crack.tolist(), strict=True)).items():
        widest_first = sorted(polygons[polygon], key=lambda one: int(one[:, 0].min()))
        cracks.setdefault(number, []).append(widest_first)
    return sorted(cracks.values(), key=lambda polygons: int(polygons[0][0][:, 1].min()))
