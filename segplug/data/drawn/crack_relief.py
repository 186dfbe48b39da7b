"""How cracks look: sub-pixel coverage with frayed edges, depth, lit rims, spalls, filling; and their mask."""

from collections.abc import Sequence

import cv2
import numpy as np

from segplug.arrays import Mask
from segplug.data.drawn.crack_lines import CrackLine
from segplug.data.drawn.noise import Field, blobs, field, octaves

FINE = 2  # coverage is drawn at twice the scene's resolution
BITS = 4  # of a pixel's fraction in OpenCV's drawing
BEYOND_PX = 0.5  # OpenCV's discs reach a pixel of the fine canvas beyond their radius
LABEL_LEAST_PX = 3.5
"""Annotators draw no line thinner: a mask of the true width of a hair crack would be broken by sampling alone."""


def coverage_of(lines: Sequence[CrackLine], size: int, least_px: float = 0) -> Field:
    """(size, size) share of each pixel inside a crack. least_px: open cracks are drawn at least so wide."""
    canvas = np.zeros((FINE * size, FINE * size), np.uint8)
    for line in lines:
        radius = np.where(line.radius > 0.12, np.maximum(line.radius, least_px / 2 - BEYOND_PX), 0)
        inside = (np.abs(line.points - size / 2) < size / 2 + 20).all(axis=1) & (radius > 0)
        scale = FINE * 2**BITS
        centres = np.round(line.points[inside] * scale).astype(int)
        for (x, y), r in zip(centres.tolist(), np.round(radius[inside] * scale).astype(int).tolist(), strict=True):
            cv2.circle(canvas, (x, y), max(r, 2**BITS // 2), 255, -1, cv2.LINE_AA, BITS)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def carve(rng: np.random.Generator, photo: Field, lines: Sequence[CrackLine]) -> tuple[Field, Mask]:
    """(photo with the cracks, mask): photo is (size, size, 3) in 0 … 1, mask (size, size)."""
    size = photo.shape[0]
    sway = [rng.uniform(0.2, 1.1) * field(rng, size, rng.uniform(2, 5)) for _ in range(2)]
    cover = _frayed(coverage_of(lines, size), sway)
    mask = _frayed(coverage_of(lines, size, LABEL_LEAST_PX), sway) > 0.5
    if rng.random() < 0.35:
        spall = blobs(rng, size, rng.uniform(4, 14), 0.35) * _near(mask, rng.uniform(2, 7))
        photo = photo * (1 + rng.uniform(-0.25, 0.3) * spall[..., None])
    widest = max((float(line.radius.max()) for line in lines), default=0.0)
    deep = max(rng.uniform(0.4, 0.95) if widest > 1.5 else rng.uniform(0.25, 0.8), _least_depth(photo))
    along = np.clip(1 + 0.25 * field(rng, size, rng.uniform(20, 90)), 0.35, 1.2)
    inside = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    shade = np.maximum(cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 0.9)), 0)
    shade = shade * (1 - 0.45 * np.exp(-inside / rng.uniform(0.8, 3.0)))
    if rng.random() < 0.25:  # sand and dirt in wide cracks
        shade = shade * (1 - rng.uniform(0.2, 0.7) * blobs(rng, size, rng.uniform(4, 20), 0.4))
    dark = (deep * along * shade)[..., None]
    floor = rng.uniform(0.02, 0.16) * (1 + 0.2 * octaves(rng, size, 0.3)[..., None])
    carved = photo * (1 - dark) + np.clip(floor, 0, 1) * dark
    lit = rng.uniform(0, 0.22)
    shift = rng.uniform(-1.6, 1.6, 2)
    moved = cv2.warpAffine(cover, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32), (size, size))
    rim = cv2.GaussianBlur(np.maximum(moved - cover, 0), (0, 0), 0.7)[..., None]
    carved = carved * (1 + lit * rim)
    if rng.random() < 0.06:  # efflorescence
        carved = carved + 0.25 * (blobs(rng, size, 12, 0.5) * _near(mask, 4))[..., None]
    return carved.astype(np.float32), mask


def _least_depth(photo: Field) -> float:
    """Below it nobody could tell the crack from the texture, and a mask of it would teach to guess."""
    grey = photo.mean(axis=2)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 6)
    return float(min(0.95, 0.1 + 2.2 * fine.std() / max(0.05, float(grey.mean()))))


def _frayed(cover: Field, sway: Sequence[Field]) -> Field:
    """Moved by noise of a few pixels' scale."""
    size = cover.shape[0]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    return cv2.remap(cover, columns + sway[0], rows + sway[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _near(mask: Mask, reach_px: float) -> Field:
    """1 on the mask, falling to 0 over a few times `reach_px`."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return np.exp(-((away / np.float32(reach_px)) ** 2))
