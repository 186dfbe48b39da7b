"""Drawn cracks of known width and length, and some of a known widest place. Set are pixels whose centre lies inside."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segplug.arrays import Mask, Points

MARGIN_PX = 6


@dataclass(frozen=True, eq=False)
class DrawnCrack:
    """A strip of constant width with blunt ends, without anti-aliasing. `mask` is (H, W)."""

    mask: Mask
    width_px: float
    length_px: float


def straight_crack(width_px: float, angle_deg: float, length_px: float = 240, seed: int = 0) -> DrawnCrack:
    """`angle_deg`: 0 = horizontal, counter-clockwise. The seed shifts it by parts of a pixel."""
    along = np.linspace(0, length_px, 2)
    angle = np.deg2rad(angle_deg)
    return _strip(np.stack([along * np.cos(angle), -along * np.sin(angle)], axis=1), width_px, length_px, seed)


def arc_crack(width_px: float, radius_px: float, sweep_deg: float = 180, seed: int = 0) -> DrawnCrack:
    """Part of a circle that begins at a seeded angle."""
    start = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    angle = start + np.deg2rad(np.linspace(0, sweep_deg, 300))
    centre = radius_px * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _strip(centre, width_px, radius_px * np.deg2rad(sweep_deg), seed)


def sine_crack(
    width_px: float, amplitude_px: float, wave_px: float, waves: float = 2, angle_deg: float = 0, seed: int = 0
) -> DrawnCrack:
    """A wave along a line at `angle_deg`."""
    x = np.linspace(0, waves * wave_px, 300)
    y = amplitude_px * np.sin(2 * np.pi * x / wave_px)
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    length = float(np.hypot(np.diff(x), np.diff(y)).sum())
    return _strip(np.stack([x * cos - y * sin, -x * sin - y * cos], axis=1), width_px, length, seed)


def uneven_cracks(max_width_px: float, angle_deg: float, seed: int = 0) -> Iterator[tuple[str, Mask]]:
    """Names and (H, W) masks of cracks that are this wide, from 8 px up, at one place, where a thin one leaves them.

    A hair crack leaves a wide one near its end, the same where the wide one goes on beyond the picture, a wide stump at
    the end of a crack with a hair crack at it, a round spall that lies beside a thin crack.
    """
    wide, hair = max_width_px, max(2.0, max_width_px / 8)
    aside = (0.5 * wide + 60) / wide
    near_end = [(0, 0, 5, 0, wide), (4.2, 0, 4.2, aside, hair)]
    stump = [(0, 0, 1.4, 0, wide), (1, 0, 6, 0, wide / 3), (0.8, 0, 0.8, aside, hair)]
    yield "hair near an end", _union(near_end, [], wide, angle_deg, seed)
    beyond = _union([(0, 0, 9, 0, wide), near_end[1]], [], wide, 0, seed)
    yield "hair near the border", beyond[:, : MARGIN_PX + round(5 * wide)]
    yield "stump with a hair", _union(stump, [], wide, angle_deg, seed)
    yield "spall beside", _union([(0, 0, 8, 0, wide / 6)], [(4, 0.35, wide)], wide, angle_deg, seed)


def jagged_crack(width_px: float, seed: int) -> DrawnCrack:
    """14 straight pieces of 16 px, each turned by up to 40° against the next, with round corners."""
    rng = np.random.default_rng(seed)
    heading = np.deg2rad(rng.uniform(-20, 20, 14) + np.tile([20.0, -20.0], 7))
    corners = np.concatenate([[0], np.cumsum(16 * np.exp(1j * heading))])
    strips = [(a.real, a.imag, b.real, b.imag, width_px) for a, b in itertools.pairwise(corners)]
    discs = [(corner.real, corner.imag, width_px) for corner in corners[1:-1]]
    return DrawnCrack(_union(strips, discs, 1, 0, seed), width_px, 14 * 16.0)


def _union(
    strips: Sequence[tuple[float, ...]], discs: Sequence[tuple[float, ...]], unit_px: float, angle_deg: float, seed: int
) -> Mask:
    """Strips (x, y, to x, to y, width px) and discs (x, y, diameter px), x and y in units; turned, then shifted."""
    turn = np.exp(1j * np.deg2rad(angle_deg))
    ends = [(complex(x, y) * unit_px * turn, complex(tx, ty) * unit_px * turn, w) for x, y, tx, ty, w in strips]
    ends += [(complex(x, y) * unit_px * turn, complex(x, y) * unit_px * turn, w) for x, y, w in discs]
    corners = np.array([[end + side * w * (1 + 1j) for side in (-0.5, 0.5)] for *both, w in ends for end in both])
    shift = np.random.default_rng(seed).uniform(0, 1, 2)
    low = np.array([corners.real.min(), corners.imag.min()]) - MARGIN_PX - shift
    size = np.ceil(np.array([corners.real.max(), corners.imag.max()]) - low + MARGIN_PX).astype(int)
    rows, columns = np.mgrid[: size[1], : size[0]]
    at = columns + low[0] + 1j * (rows + low[1])
    mask = np.zeros(at.shape, dtype=bool)
    for start, end, width in ends:
        if start == end:
            mask |= abs(at - start) <= width / 2
            continue
        local = (at - start) / (end - start)
        mask |= (local.real >= 0) & (local.real <= 1) & (abs(local.imag) * abs(end - start) <= width / 2)
    return mask


def _strip(centre: Points, width_px: float, length_px: float, seed: int) -> DrawnCrack:
    """`centre`: (N, 2) x and y of a centre line whose radius of curvature stays above half the width."""
    from skimage.draw import polygon

    along = np.gradient(centre, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    outline = np.concatenate([centre + across * width_px / 2, (centre - across * width_px / 2)[::-1]])
    shift = np.random.default_rng(seed).uniform(0, 1, 2)
    outline += MARGIN_PX + shift - outline.min(axis=0)
    columns, rows = np.ceil(outline.max(axis=0)).astype(int) + MARGIN_PX
    mask = np.zeros((rows, columns), dtype=bool)
    mask[polygon(outline[:, 1], outline[:, 0], mask.shape)] = True
    return DrawnCrack(mask, width_px, length_px)
