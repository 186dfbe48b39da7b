"""Crack-free surfaces: plaster, concrete, asphalt, stone, by noise spectra, aggregate, stains, pits and light."""

import cv2
import numpy as np

from segplug.data.drawn.noise import Field, blobs, field, octaves


def surface(rng: np.random.Generator, size: int) -> Field:
    """(size, size, 3) RGB, about 0 … 1."""
    kind = rng.choice(["plaster", "concrete", "asphalt", "rough"], p=[0.15, 0.4, 0.35, 0.1])
    level = {"plaster": (0.55, 0.85), "concrete": (0.38, 0.8), "asphalt": (0.2, 0.6), "rough": (0.3, 0.7)}[kind]
    grey: Field = np.full((size, size), rng.uniform(*level), np.float32)
    grain = {"plaster": (0.01, 0.03), "concrete": (0.01, 0.04), "asphalt": (0.02, 0.055), "rough": (0.03, 0.07)}[kind]
    grey += np.float32(rng.uniform(*grain)) * octaves(rng, size, rng.uniform(-0.3, 0.35), coarsest_px=24)
    grey += np.float32(rng.uniform(0.005, 0.035)) * octaves(rng, size, 0.6, 16)
    if kind in ("asphalt", "rough") or rng.random() < 0.25:
        grey += _aggregate(rng, size)
    tint = 1 + rng.uniform(-0.05, 0.05, 3) + rng.uniform(0, 0.1) * np.array([1, 0.2, -1])
    photo = grey[..., None] * tint.astype(np.float32)
    for _ in range(rng.poisson(0.9)):
        stain = blobs(rng, size, rng.uniform(0.08, 0.6) * size, rng.uniform(0.05, 0.4), rng.uniform(0.4, 2.5))
        photo = photo * (1 + stain[..., None] * rng.uniform(-0.35, 0.15) * (1 + rng.uniform(-0.1, 0.1, 3)))
    if rng.random() < 0.4:
        photo = photo * (1 - _pits(rng, size)[..., None])
    if rng.random() < 0.15:
        photo = photo * (1 - _grooves(rng, size)[..., None])
    if rng.random() < 0.2:
        photo = photo * (1 + _scratches(rng, size)[..., None])
    return photo.astype(np.float32)


def lit(rng: np.random.Generator, photo: Field) -> Field:
    """With a slope of light, a vignette, and perhaps shadows with sharp or soft edges."""
    size = photo.shape[0]
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    light = 1 + rng.uniform(0, 0.25) * (x * np.cos(t := rng.uniform(0, 6.3)) + y * np.sin(t))
    light -= rng.uniform(0, 0.2) * (x**2 + y**2) * (rng.random() < 0.4)
    if rng.random() < 0.3:
        shadow = _shadow(rng, size)
        light *= 1 - rng.uniform(0.2, 0.65) * shadow
    return (photo * light[..., None]).astype(np.float32)


def _aggregate(rng: np.random.Generator, size: int) -> Field:
    """Stones of one or two sizes, lighter and darker than the binder, and the shade between them."""
    total = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(1, 3)):
        scale = float(rng.choice([1.5, 2.5, 4, 6, 9]))
        stones = np.tanh(1.8 * field(rng, size, scale))
        total += np.float32(rng.uniform(0.01, 0.05) / (1 + 0.15 * scale)) * stones
        light = stones > rng.uniform(0.7, 0.98)
        total += np.float32(rng.uniform(-0.04, 0.16)) * cv2.blur(light.astype(np.float32), (2, 2))
    return total


def _pits(rng: np.random.Generator, size: int) -> Field:
    """Air holes: small dark ellipses."""
    canvas = np.zeros((size, size), np.float32)
    for _ in range(int(rng.uniform(3, 90))):
        axes = rng.uniform(0.6, 3.5) * np.array([1, rng.uniform(0.5, 1)])
        place, angle, depth = rng.uniform(0, size, 2), rng.uniform(0, 180), rng.uniform(0.15, 0.8)
        centre, half = (16 * place).astype(int).tolist(), (16 * axes).astype(int).tolist()
        cv2.ellipse(canvas, centre, half, angle, 0, 360, depth, -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), 0.6)


def _grooves(rng: np.random.Generator, size: int) -> Field:
    """Brushed or sawn concrete: fine parallel lines at nearly equal distances, worn in places."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    across = (x * np.sin(angle) + y * np.cos(angle)) / rng.uniform(2.5, 16) + 0.08 * field(rng, size, 60)
    lines = np.clip(1 - np.abs(across - np.round(across)) * rng.uniform(3, 6), 0, 1)
    worn = 0.4 + 0.6 * blobs(rng, size, rng.uniform(10, 90), rng.uniform(0.3, 0.9), 1)
    return (rng.uniform(0.03, 0.4) * lines * worn).astype(np.float32)


def _scratches(rng: np.random.Generator, size: int) -> Field:
    """Parallel marks of a trowel, a form board or a tyre: light or dark, straight and shallow."""
    angle, canvas = rng.uniform(0, np.pi), np.zeros((size, size), np.float32)
    along = np.array([np.cos(angle), np.sin(angle)])
    for _ in range(rng.integers(2, 25)):
        middle, half = rng.uniform(0, size, 2), rng.uniform(0.05, 1) * size
        turn = along + rng.normal(0, 0.05, 2)
        a, b = ((16 * (middle + s * half * turn)).astype(int).tolist() for s in (-1, 1))
        cv2.line(canvas, a, b, rng.uniform(-0.12, 0.2), int(rng.integers(1, 4)), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), 0.7)


def _shadow(rng: np.random.Generator, size: int) -> Field:
    """Of a building (a polygon) or of leaves (islands of noise)."""
    if rng.random() < 0.35:
        return blobs(rng, size, rng.uniform(0.05, 0.4) * size, rng.uniform(0.2, 0.6), rng.uniform(2, 10))
    canvas = np.zeros((size, size), np.float32)
    corners = rng.uniform(-0.5 * size, 1.5 * size, (rng.integers(3, 5), 2)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 1.0, cv2.LINE_AA)
    return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.6, 5))
