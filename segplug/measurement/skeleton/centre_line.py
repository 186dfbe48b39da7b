"""A branch of skeleton pixels as a smooth line from end to end, sampled every half pixel.

Smoothing takes out the stair steps, which would lengthen an oblique line by up to 8 %; free ends are drawn out straight
to the edge of the mask, as thinning stops half a width short of it.
"""

from dataclasses import dataclass

import numpy as np

from segplug.arrays import Floats, Mask, Points
from segplug.measurement.skeleton.graph import SkeletonGraph

STEP_PX = 0.5
RAY_STEP_PX = 0.125
MIN_SIGMA_PX = 2.0
SIGMA_BY_WIDTH = 0.15  # of .05 to 1: less lengthens rough-edged cracks, more shortens jagged ones


@dataclass(frozen=True, eq=False)
class CentreLine:
    """`points`: (N, 2) row and column, N >= 2.

    `start_blur_px`, `end_blur_px`: how much of the line is no place to tell the width: what a free end was drawn out,
    the inscribed circle of a junction.
    """

    points: Points
    start_blur_px: float
    end_blur_px: float

    @property
    def length_px(self) -> float:
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


def centre_lines(graph: SkeletonGraph, mask: Mask, distance_px: Floats) -> list[CentreLine]:
    """One line a branch. `mask` and its distance transform are (H, W)."""
    degree = graph.degrees()
    lines = []
    for branch in graph.branches:
        rows, columns = np.rint(branch.points).astype(int).T
        width = 2 * float(np.median(distance_px[rows, columns])) - 0.5
        ring = branch.start == branch.end and len(branch.points) > 2 and degree[branch.start] == 2
        points = _smooth(branch.points, max(MIN_SIGMA_PX, SIGMA_BY_WIDTH * width), ring)
        outwards = _end_directions(points, max(4, round(width)), mask)
        blur = []
        for node, last, towards in ((branch.start, 0, outwards[0]), (branch.end, -1, outwards[1])):
            if degree[node] == 1 or len(branch.points) == 1:
                edge = _edge(mask, branch.points[last], towards, distance_px)
                points = np.concatenate([points, [edge]] if last else [[edge], points])
                blur.append(float(np.linalg.norm(edge - branch.points[last])))
            else:
                row, column = np.rint(graph.nodes[node]).astype(int)
                blur.append(0.0 if ring else float(distance_px[row, column]))
        lines.append(CentreLine(_resample(points), *blur))
    return lines


def _smooth(points: Points, sigma_px: float, ring: bool) -> Points:
    """Gaussian along the line. Its ends stay where they are (odd reflection); a ring is smoothed all round."""
    if len(points) < 3:
        return points
    radius = int(4 * sigma_px) + 1
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    weights /= weights.sum()
    if ring:
        padded = np.pad(points[:-1], ((radius, radius + 1), (0, 0)), mode="wrap")
    else:
        padded = np.pad(points, ((radius, radius), (0, 0)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(padded[:, axis], weights, "valid") for axis in (0, 1)], axis=1)


def _end_directions(points: Points, reach: int, mask: Mask) -> tuple[Points, Points]:
    """Unit vectors out of both ends; a line of one point takes the main axis of the mask."""
    if len(points) == 1:
        pixels = np.argwhere(mask)
        axis = np.linalg.eigh(np.cov(pixels.T))[1][:, -1] if len(pixels) > 1 else np.array([0.0, 1.0])
        return -axis, axis
    reach = min(reach, len(points) - 1)
    outwards = (points[0] - points[reach], points[-1] - points[-1 - reach])
    norms = [float(np.linalg.norm(vector)) for vector in outwards]
    return outwards[0] / max(norms[0], 1e-9), outwards[1] / max(norms[1], 1e-9)


def _edge(mask: Mask, tip: Points, towards: Points, distance_px: Floats) -> Points:
    """Where the ray from `tip` leaves the mask, at most a width away."""
    row, column = np.rint(tip).astype(int)
    ray = np.arange(RAY_STEP_PX, 2 * float(distance_px[row, column]) + 1, RAY_STEP_PX)
    cells = np.floor(tip + ray[:, None] * towards + 0.5).astype(int)
    cells = cells.clip(0, np.array(mask.shape) - 1)  # the outermost pixels of a padded mask are no crack
    inside = mask[cells[:, 0], cells[:, 1]]
    reached = len(ray) if inside.all() else int(np.argmin(inside))
    return np.asarray(tip + towards * RAY_STEP_PX * (reached + 0.5))


def _resample(points: Points) -> Points:
    """Evenly, about `STEP_PX` apart, at least two points."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, along[-1], max(2, round(along[-1] / STEP_PX) + 1))
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)
