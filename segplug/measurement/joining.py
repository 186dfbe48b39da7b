"""Which pieces of a mask are one crack: their ends face each other across a gap, in line and alike in width.

The limits are measured: labels of 18 DeepCrack photos with gaps cut into them, each laid over those of another photo.
Up to 12 px apart 213 pieces of 547 were joined to their own photo's, 2 to the other's (8 px: 185, 0; 16 px: 217, 3).
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Mask
from segplug.measurement.piece import End, Piece

Gap = tuple[End, End]
MAX_TURN_DEG = 60.0
MAX_ASIDE_DEG = 35.0
MAX_WIDTH_RATIO, MAX_WIDTH_STEP_PX = 4.0, 2.0
MAX_GAP_BY_LENGTH = 1.0  # of the shorter branch: what is longer is more wall than crack


def has_neighbour(labels: NDArray[np.int32], count: int, gap_px: float) -> Mask:
    """(count,) whether another label of the (H, W) picture lies within `gap_px`; 0 is background."""
    away = cv2.distanceTransform((labels == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    clusters = cv2.connectedComponents((away <= gap_px / 2 + 1).astype(np.uint8), connectivity=8)[1]
    cluster = np.zeros(count, dtype=np.int64)
    cluster[labels.ravel()] = clusters.ravel()
    return np.bincount(cluster[1:], minlength=int(clusters.max()) + 1)[cluster] > 1


def joined(pieces: Sequence[Piece], gap_px: float) -> list[tuple[list[int], list[Gap]]]:
    """Numbers of the pieces of each crack, and the gaps between them, none longer than `gap_px`.

    The shortest gaps first; an end meets one other end, and no gap closes a loop.
    """
    from scipy.spatial import cKDTree

    ends = [(number, end) for number, piece in enumerate(pieces) for end in piece.ends]
    group, gaps = list(range(len(pieces))), [[] for _ in pieces]  # type: list[int], list[list[Gap]]
    pairs = cKDTree([end.tip for _, end in ends]).query_pairs(gap_px) if gap_px > 0 and ends else set()
    fitting = [(cost, i, j) for i, j in pairs if (cost := _cost(ends[i][1], ends[j][1])) is not None]
    taken: set[int] = set()
    for _, i, j in sorted(fitting):
        first, second = group[ends[i][0]], group[ends[j][0]]
        if first == second or taken & {i, j}:
            continue
        taken |= {i, j}
        gaps[first] += [*gaps[second], (ends[i][1], ends[j][1])]
        group = [first if number == second else number for number in group]
    members: dict[int, list[int]] = {}
    for number, root in enumerate(group):
        members.setdefault(root, []).append(number)
    return [(numbers, gaps[root]) for root, numbers in members.items()]


def _cost(a: End, b: End) -> float | None:
    """Length of the gap and how far the ends miss each other; None where they do not fit."""
    gap = b.tip - a.tip
    length = float(np.linalg.norm(gap))
    thin, wide = sorted((a.width_px, b.width_px))
    turned = float(a.out @ -b.out) < math.cos(math.radians(MAX_TURN_DEG))
    uneven = wide > MAX_WIDTH_RATIO * thin and wide - thin > MAX_WIDTH_STEP_PX
    if turned or uneven or length > MAX_GAP_BY_LENGTH * min(a.length_px, b.length_px):
        return None
    aside = 0.0
    for out in (a.out, -b.out):
        along, across = float(out @ gap), abs(float(out[0] * gap[1] - out[1] * gap[0]))
        if along < -wide / 2 or across > wide / 2 + math.tan(math.radians(MAX_ASIDE_DEG)) * length:
            return None
        aside += across
    return length + aside
