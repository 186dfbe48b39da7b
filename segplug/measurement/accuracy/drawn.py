"""Drawn cracks of known width and length, to check the measurement: pixels are set where their centre lies inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DrawnCrack", "arc_crack", "sine_crack", "straight_crack"]

MARGIN_PX = 6


@dataclass(frozen=True, eq=False)
class DrawnCrack:
    """A strip of constant width with blunt ends, without anti-aliasing. `mask` is (H, W)."""

    mask: NDArray[np.bool_]
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


def _strip(centre: NDArray[np.float64], width_px: float, length_px: float, seed: int) -> DrawnCrack:
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
