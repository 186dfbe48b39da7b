"""What is no crack and yet dark, thin or sharp: joints, pavings, painted lines, kerbs, cables, tie holes, leaves."""

from collections.abc import Callable

import cv2
import numpy as np

from segplug.data.drawn.noise import Field, blobs, field, octaves, smooth_steps
from segplug.data.drawn.surface import surface

FRACTION = 4  # bits of a pixel in OpenCV's drawing


def distract(rng: np.random.Generator, photo: Field, count: int) -> Field:
    """The photo with `count` distractors of random kinds, drawn below the cracks."""
    for kind in rng.choice(sorted(DISTRACTORS), count):
        photo = DISTRACTORS[kind](rng, photo)
    return photo


def _stroke(size: int, points: np.ndarray, width_px: float) -> Field:
    """(size, size) coverage of a polyline of constant width."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    path = np.round(points * 2 * 2**FRACTION).astype(np.int32)
    cv2.polylines(canvas, [path], False, 255, max(1, round(2 * width_px)), cv2.LINE_AA, FRACTION)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _across(rng: np.random.Generator, size: int) -> tuple[np.ndarray, float]:
    """Two ends of a straight line through the scene, and its angle; often along the picture's sides."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.06) if rng.random() < 0.5 else rng.uniform(0, np.pi)
    middle, along = rng.uniform(0, size, 2), np.array([np.cos(angle), np.sin(angle)])
    return np.stack([middle - 1.5 * size * along, middle + 1.5 * size * along]), float(angle)


def _joint(rng: np.random.Generator, photo: Field) -> Field:
    """One or two parallel straight grooves, clean or worn, now and then with chamfered, lighter edges."""
    size = photo.shape[0]
    ends, angle = _across(rng, size)
    for k in range(rng.integers(1, 3)):
        width = float(np.exp(rng.uniform(np.log(1.0), np.log(14))))
        away = k * rng.uniform(0.15, 0.6) * size * np.array([-np.sin(angle), np.cos(angle)])
        cover = _stroke(size, ends + away, width)
        worn = 1 - rng.uniform(0, 0.6) * blobs(rng, size, rng.uniform(8, 60), 0.35)
        photo = photo * (
            1 - (rng.uniform(0.2, 0.85) * worn * cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 1.2)))[..., None]
        )
        if rng.random() < 0.4:
            rim = np.clip(_stroke(size, ends + away, width + rng.uniform(2, 8)) - cover, 0, 1)
            photo = photo * (1 + (rng.uniform(-0.15, 0.25) * rim)[..., None])
    return photo


def _paving(rng: np.random.Generator, photo: Field) -> Field:
    """A grid of bricks, slabs or tiles, each of its own shade."""
    size = photo.shape[0]
    angle, pitch = rng.choice([0, rng.uniform(0, np.pi)]), rng.uniform(0.12, 0.6) * size
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    u = (x * np.cos(angle) + y * np.sin(angle)) / pitch + 50
    v = (-x * np.sin(angle) + y * np.cos(angle)) / (pitch * rng.uniform(0.4, 1)) + 50
    bond = u + 0.5 * (rng.random() < 0.6) * (np.floor(v) % 2)
    shades = 1 + rng.uniform(0, 0.12) * rng.standard_normal((128, 128)).astype(np.float32)
    photo = photo * shades[np.floor(v).astype(int) % 128, np.floor(bond).astype(int) % 128][..., None]
    width = rng.uniform(1, 7) / pitch
    seam = np.minimum(np.abs(bond - np.round(bond)), np.abs(v - np.round(v)) * 0.7)
    groove = np.clip(1.5 - seam / (width / 2) + 0.15 * field(rng, size, 4), 0, 1)
    return photo * (1 + (rng.choice([-1, -1, -1, 0.5]) * rng.uniform(0.15, 0.65) * groove)[..., None])


def _painted(rng: np.random.Generator, photo: Field) -> Field:
    """Road marking: a bright band with worn patches, and perhaps a second beside it."""
    size = photo.shape[0]
    ends, angle = _across(rng, size)
    colour = np.array([1, 1, 1] if rng.random() < 0.75 else [1, 0.8, 0.25], np.float32) * rng.uniform(0.6, 1.0)
    for k in range(rng.integers(1, 3)):
        away = k * rng.uniform(0.1, 0.3) * size * np.array([-np.sin(angle), np.cos(angle)])
        cover = cv2.GaussianBlur(
            _stroke(size, ends + away, rng.uniform(0.02, 0.3) * size), (0, 0), rng.uniform(0.5, 1.5)
        )
        cover = cover * (1 - rng.uniform(0, 0.9) * blobs(rng, size, rng.uniform(2, 12), rng.uniform(0.05, 0.4)))
        paint = colour * (1 + 0.05 * octaves(rng, size, 0.1)[..., None])
        photo = photo + (cover * rng.uniform(0.5, 1))[..., None] * (paint - photo)
    return photo


def _kerb(rng: np.random.Generator, photo: Field) -> Field:
    """Another surface begins at a straight edge, with a dark gap or none: kerb, patch, gutter, verge."""
    size = photo.shape[0]
    (start, end), _ = _across(rng, size)
    along = end - start
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    side = ((x - start[0]) * along[1] - (y - start[1]) * along[0]) / np.hypot(*along)
    side = side + rng.uniform(0, 1.5) * field(rng, size, rng.uniform(4, 40))
    other = np.clip(side + 0.5, 0, 1)[..., None]
    beyond = surface(rng, size)
    if rng.random() < 0.2:  # grass, soil
        beyond = (0.3 + 0.22 * octaves(rng, size, 0.2))[..., None] * np.array([0.8, 1, 0.45], np.float32)
    gap = np.exp(-((side / rng.uniform(0.7, 5)) ** 2)) * rng.uniform(0, 0.8)
    return ((photo * (1 - other) + beyond * other) * (1 - gap[..., None])).astype(np.float32)


def _cable(rng: np.random.Generator, photo: Field) -> Field:
    """A smooth curve of constant width, round in shade, with a shadow beside it."""
    size = photo.shape[0]
    ends, angle = _across(rng, size)
    t = np.linspace(0.3, 0.7, 160)[:, None]
    across = np.array([-np.sin(angle), np.cos(angle)])
    points = (
        ends[0]
        + t * (ends[1] - ends[0])
        + smooth_steps(rng, 160, rng.uniform(40, 160))[:, None] * across * rng.uniform(2, 40)
    )
    width = rng.uniform(1.2, 9)
    shadow = cv2.GaussianBlur(_stroke(size, points + rng.uniform(-6, 6, 2), width), (0, 0), rng.uniform(0.8, 3))
    photo = photo * (1 - rng.uniform(0, 0.5) * shadow[..., None])
    cover, core = (
        _stroke(size, points, width)[..., None],
        _stroke(size, points - 0.2 * width, max(1, width / 3))[..., None],
    )
    return photo + cover * (rng.uniform(0, 0.9, 3) * (1 + 0.4 * core) - photo) * rng.uniform(0.6, 1)


def _tie_holes(rng: np.random.Generator, photo: Field) -> Field:
    """Round holes, bolts and stains of rust below them."""
    size = photo.shape[0]
    for _ in range(rng.integers(1, 5)):
        place, radius = rng.uniform(0, size, 2).astype(int).tolist(), int(rng.uniform(3, 22))
        disc, ring = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        cv2.circle(disc, place, radius, 1.0, -1, cv2.LINE_AA)
        cv2.circle(ring, place, radius, 1.0, max(1, radius // 4), cv2.LINE_AA)
        photo = photo * (1 + (rng.uniform(-0.7, 0.3) * disc - rng.uniform(0, 0.5) * ring)[..., None])
        if rng.random() < 0.3:
            run = cv2.GaussianBlur(np.roll(disc, radius * 2, 0), (0, 0), sigmaX=radius, sigmaY=4.0 * radius)
            photo = photo * (1 - run[..., None] * rng.uniform(0.1, 0.8) * np.array([0.3, 0.7, 1], np.float32))
    return photo


def _leaves(rng: np.random.Generator, photo: Field) -> Field:
    """Leaves, twigs and litter with their shadows."""
    size = photo.shape[0]
    for _ in range(rng.integers(1, 9)):
        place, angle = (16 * rng.uniform(0, size, 2)).astype(int), rng.uniform(0, 360)
        half = rng.uniform(3, 28) * np.array([1, rng.choice([0.12, 0.35, 0.55, 0.8])])
        colour = rng.uniform(0.05, 0.75) * np.array([1, rng.uniform(0.6, 1.1), rng.uniform(0.15, 0.9)], np.float32)
        for shift, blur in (((rng.uniform(-4, 4, 2) * 16).astype(int), 2.0), ((0, 0), 0.6)):
            cover: Field = np.zeros((size, size), np.float32)
            axes = np.maximum(16, 16 * half).astype(int).tolist()
            cv2.ellipse(cover, (place + shift).tolist(), axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA, 4)
            cover = cv2.GaussianBlur(cover, (0, 0), blur)[..., None]
            photo = photo * (1 - 0.45 * cover) if blur == 2.0 else photo + cover * (colour - photo)
    return photo


DISTRACTORS: dict[str, Callable[[np.random.Generator, Field], Field]] = {
    "cable": _cable,
    "joint": _joint,
    "kerb": _kerb,
    "leaves": _leaves,
    "painted": _painted,
    "paving": _paving,
    "tie_holes": _tie_holes,
}
