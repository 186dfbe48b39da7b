"""Masks and overlays for photos of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.atomic import write_atomic
from segplug.checkpoint import load_model
from segplug.errors import SegplugError
from segplug.image_files import by_stem, image_files
from segplug.inference import OVERLAP, pick_device, tiled_crack_probability
from segplug.masks import read_image

__all__ = ["draw_overlay", "predict"]

RED = np.array([230, 30, 30], dtype=np.float32)


def predict(
    checkpoint: Path | str,
    source: Path | str,
    out: Path | str,
    threshold: float = 0.5,
    tile: int = 1024,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> list[dict[str, str | float]]:
    """Write out/masks/NAME.png (0 and 255) and out/overlays/NAME.png for an image file or every image of a folder.

    Returns a row an image: its name and the share of crack pixels. Images larger than `tile` on a side are cut into
    overlapping tiles. Raises SegplugError on a bad checkpoint or no image at all, and, after the others are done, on
    images that could not be read.
    """
    if not 0 < threshold < 1:
        raise SegplugError(f"threshold must lie between 0 and 1, got {threshold}")
    if tile < 2 * OVERLAP:
        raise SegplugError(f"tile must be at least {2 * OVERLAP} px, got {tile}")
    files = _images(Path(source))
    place = pick_device(device)
    model, _ = load_model(Path(checkpoint))
    model.to(place)
    rows: list[dict[str, str | float]] = []
    unreadable: list[str] = []
    for i, file in enumerate(files):
        try:
            image = read_image(file)
        except SegplugError as error:
            unreadable.append(str(error))
            note(f"{i + 1}/{len(files)} {error}")
            continue
        mask = tiled_crack_probability(model, image, place, tile) >= threshold
        _write_png(Path(out) / "masks" / f"{file.stem}.png", mask.astype(np.uint8) * 255)
        _write_png(Path(out) / "overlays" / f"{file.stem}.png", draw_overlay(image, mask)[..., ::-1])
        rows.append({"name": file.stem, "crack_share": float(mask.mean())})
        note(f"{i + 1}/{len(files)} {file.name}: {100 * mask.mean():.2f} % crack")
    if unreadable:
        raise SegplugError(
            f"{len(unreadable)} of {len(files)} files failed, the rest is in {out}: {'; '.join(unreadable)}"
        )
    return rows


def draw_overlay(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB photo with the mask's pixels tinted red."""
    drawn = image.copy()
    drawn[mask] = (0.4 * image[mask] + 0.6 * RED).astype(np.uint8)
    return drawn


def _images(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise SegplugError(f"{source}: no such file or folder")
    files = image_files(source)
    if not files:
        raise SegplugError(f"{source}: holds no image")
    by_stem(files)  # refuses a.jpg beside a.png: their masks would be one file
    return files


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels))
    if not done:
        raise SegplugError(f"{path}: OpenCV could not encode {pixels.shape} pixels")
    write_atomic(path, lambda part: encoded.tofile(part))
