"""Drawn detection data: filled circles, squares and triangles of any colour on textured ground, with YOLO labels."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.demo.texture import noise, save_image

CLASSES = ("circle", "square", "triangle")
Box = tuple[int, float, float, float, float]


def draw_shapes(root: Path, train: int = 160, val: int = 40, side: int = 128, seed: int = 0) -> None:
    """Write images/{train,val}, labels/{train,val} and classes.txt. The same arguments give the same files."""
    for split, count in (("train", train), ("val", val)):
        images, labels = root / "images" / split, root / "labels" / split
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, boxes = _scene(np.random.default_rng([seed, split == "val", number]), side)
            save_image(str(images / f"{number:03d}.png"), image)
            rows = [f"{cls} " + " ".join(f"{value / side:.6f}" for value in box) for cls, *box in boxes]
            (labels / f"{number:03d}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def _scene(rng: np.random.Generator, side: int) -> tuple[NDArray[np.uint8], list[Box]]:
    """One image with one to four shapes that do not overlap."""
    ground = rng.uniform(90, 165, 3) + 18 * noise(rng, side, 32)[..., None]
    image = np.clip(ground, 0, 255).astype(np.uint8)
    boxes: list[Box] = []
    for _ in range(int(rng.integers(1, 5))):
        size = float(rng.uniform(0.14, 0.36)) * side
        x, y = (float(v) for v in rng.uniform(size / 2 + 1, side - size / 2 - 1, 2))
        if all(max(abs(x - bx), abs(y - by)) > (size + bw) / 2 + 2 for _, bx, by, bw, _ in boxes):
            cls = int(rng.integers(len(CLASSES)))
            _draw(image, cls, x, y, size, _colour(rng, ground.mean(axis=(0, 1))))
            boxes.append((cls, x, y, size, size))
    return image, boxes


def _draw(image: NDArray[np.uint8], cls: int, x: float, y: float, size: float, colour: tuple[int, ...]) -> None:
    half = size / 2
    if CLASSES[cls] == "circle":
        cv2.circle(image, (round(x), round(y)), round(half), colour, -1, cv2.LINE_AA)
    elif CLASSES[cls] == "square":
        cv2.rectangle(image, (round(x - half), round(y - half)), (round(x + half), round(y + half)), colour, -1)
    else:
        corners = [(x, y - half), (x - half, y + half), (x + half, y + half)]
        cv2.fillPoly(image, [np.array(corners).round().astype(np.int32)], colour, cv2.LINE_AA)


def _colour(rng: np.random.Generator, ground: NDArray[np.floating]) -> tuple[int, ...]:
    """Any colour that stands out from the ground's mean."""
    while True:
        colour = rng.integers(0, 256, 3)
        if np.abs(colour - ground).max() > 70:
            return tuple(int(v) for v in colour)
