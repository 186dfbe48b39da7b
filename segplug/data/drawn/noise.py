"""Random fields, the material of every texture."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""Floats, (H, W) or (H, W, 3)."""


def field(rng: np.random.Generator, size: int, scale_px: float) -> Field:
    """(size, size) smooth noise of mean 0 and deviation about 1 whose bumps are about `scale_px` wide."""
    n = max(2, round(size / scale_px) + 1)
    coarse = rng.standard_normal((min(n, size), min(n, size))).astype(np.float32)
    if n >= size:
        return coarse
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(1.25)


def octaves(rng: np.random.Generator, size: int, slope: float, finest_px: float = 1, coarsest_px: float = 0) -> Field:
    """Noise of all scales with deviation about 1: amplitude grows with scale to the power of `slope`."""
    total, weight, scale = np.zeros((size, size), np.float32), 0.0, finest_px
    while scale <= (coarsest_px or size):
        amplitude = scale**slope
        total += np.float32(amplitude) * field(rng, size, scale)
        weight += amplitude**2
        scale *= 2
    return total / np.float32(np.sqrt(weight))


def blobs(rng: np.random.Generator, size: int, scale_px: float, share: float, edge: float = 4.0) -> Field:
    """(size, size) in 0 … 1: islands of noise that cover about `share`; a higher `edge` makes their rim sharper."""
    noise = field(rng, size, scale_px) + np.float32(0.35) * field(rng, size, max(1.0, scale_px / 4))
    level = np.quantile(noise[::4, ::4], 1 - share)
    return np.clip((noise - level) * np.float32(edge) + np.float32(0.5), 0, 1)


def smooth_steps(rng: np.random.Generator, n: int, scale: float) -> Field:
    """(n,) smooth noise along a line, deviation about 1, bumps about `scale` points long."""
    knots = max(2, int(n / scale) + 2)
    values = rng.standard_normal((1, knots)).astype(np.float32)
    return cv2.resize(values, (n, 1), interpolation=cv2.INTER_CUBIC)[0] * np.float32(1.25)
