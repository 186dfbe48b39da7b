"""Drawn segmentation data: branching cracks on textured concrete, with masks."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.demo.texture import noise, save_image

Path2D = list[tuple[float, float, float]]  # x, y, width in px


def draw_cracks(root: Path, train: int = 48, test: int = 16, side: int = 160, seed: int = 0) -> None:
    """Write {train,test}/images and {train,test}/masks. The same arguments give the same files."""
    for split, count in (("train", train), ("test", test)):
        images, masks = root / split / "images", root / split / "masks"
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, mask = _slab(np.random.default_rng([seed, split == "test", number]), side)
            save_image(str(images / f"{number:03d}.png"), image)
            save_image(str(masks / f"{number:03d}.png"), mask)


def _slab(rng: np.random.Generator, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey concrete with pores and stains, and one crack with branches."""
    grey = rng.uniform(130, 190) + 10 * noise(rng, side, 48)
    for _ in range(int(rng.integers(10, 40))):  # pores: dark and round, so that darkness alone is not a crack
        x, y = (int(v) for v in rng.integers(0, side, 2))
        cv2.circle(grey, (x, y), int(rng.integers(1, 3)), float(grey[y, x] - rng.uniform(25, 70)), -1, cv2.LINE_AA)
    mask = np.zeros((side, side), np.uint8)
    trunk = _walk(rng, side, float(rng.uniform(0.1, 0.9)) * side, 0.0, np.pi / 2, float(rng.uniform(2.0, 4.0)))
    for path in (trunk, *_branches(rng, side, trunk)):
        for (x0, y0, width), (x1, y1, _) in pairwise(path):
            cv2.line(mask, (round(x0), round(y0)), (round(x1), round(y1)), 255, max(1, round(width)))
    if rng.random() < 0.5:
        grey, mask = np.ascontiguousarray(grey.T), np.ascontiguousarray(mask.T)
    shade = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    grey = grey - shade * rng.uniform(50, 95)
    tint = rng.uniform(0.95, 1.0, 3)
    return np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8), mask


def _walk(rng: np.random.Generator, side: int, x: float, y: float, heading: float, width: float) -> Path2D:
    """A crooked way from (x, y) until it leaves the slab or has narrowed to nothing."""
    path = [(x, y, width)]
    course = heading
    while 0 <= x < side and 0 <= y < side and width > 0.6:
        course += float(rng.normal(0, 0.35)) + 0.15 * (heading - course)
        step = float(rng.uniform(3, 8))
        x, y = x + step * np.cos(course), y + step * np.sin(course)
        width *= float(rng.uniform(0.94, 1.03))
        path.append((x, y, width))
    return path


def _branches(rng: np.random.Generator, side: int, trunk: Path2D) -> list[Path2D]:
    branches = []
    for _ in range(int(rng.integers(0, 3))):
        x, y, width = trunk[int(rng.integers(len(trunk)))]
        heading = np.pi / 2 + float(rng.choice([-1, 1])) * float(rng.uniform(0.5, 1.1))
        branches.append(_walk(rng, side, x, y, heading, width * 0.6))
    return branches
