"""One 8-connected piece of a mask, traced: its centre lines, their free ends and how they branch."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from segplug.arrays import Floats, Mask, Points
from segplug.measurement.skeleton.centre_line import STEP_PX, CentreLine, centre_lines
from segplug.measurement.skeleton.graph import prune_spurs, skeleton_graph


@dataclass(frozen=True, eq=False)
class End:
    """A free end. `tip` and the unit vector `out` of the piece: row and column. `width_px`: of the piece near it."""

    tip: Points
    out: Points
    width_px: float
    length_px: float
    """Of the branch that ends here."""


@dataclass(frozen=True, eq=False)
class Piece:
    """`inside`, `solid`: (H, W) of the piece and of the piece without pinholes, whose corner is at `left`, `top`.

    Lines and ends are in the mask's coordinates, row and column. `topology`: branches, junctions, ends, loops.
    """

    inside: Mask
    solid: Mask
    left: int
    top: int
    lines: list[CentreLine]
    ends: list[End]
    topology: tuple[int, int, int, int]


def trace(inside: Mask, left: int, top: int) -> Piece:
    """`inside`: (H, W) of the piece's bounding box, whose corner lies at `left`, `top`."""
    padded = np.pad(inside, 1)
    solid = _fill_pinholes(padded)
    distance = distance_inside(solid)
    graph = prune_spurs(skeleton_graph(solid), distance)
    degree = graph.degrees()
    shift = np.array([top - 1, left - 1])
    lines, ends = [], []
    for branch, line in zip(graph.branches, centre_lines(graph, solid, distance), strict=True):
        rows, columns = np.rint(branch.points).astype(int).T
        width = 2 * float(np.median(distance[rows, columns])) - 0.5
        line = replace(line, points=line.points + shift)
        lines.append(line)
        point = len(branch.points) == 1
        for node, points in ((branch.start, line.points), (branch.end, line.points[::-1])):
            if point or degree[node] == 1:
                ends.append(_end(points, width, line.length_px))
    return Piece(inside, solid[1:-1, 1:-1], left, top, lines, ends, graph.topology(distance))


def distance_inside(mask: Mask) -> Floats:
    """(H, W) distance of each pixel to the nearest one outside."""
    away = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)


def _end(points: Points, width_px: float, length_px: float) -> End:
    """Of a line that ends freely at its first point."""
    reach = min(len(points) - 1, round(max(5.0, 3 * width_px) / STEP_PX))
    out = points[0] - points[reach]
    return End(points[0], out / max(float(np.linalg.norm(out)), 1e-9), width_px, length_px)


def _fill_pinholes(mask: Mask) -> Mask:
    """Without holes smaller than the square of half the width: noise, which the centre line would run round."""
    half_width = 2 * float(distance_inside(mask)[mask].mean())
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    small = np.flatnonzero(np.asarray(boxes)[:, cv2.CC_STAT_AREA].astype(float) < half_width**2)
    small = small[(small != 0) & (small != labels[0, 0])]
    return mask | np.isin(labels, small)
