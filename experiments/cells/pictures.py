"""What a report draws its pictures from, kept at evaluation, so that it needs neither data set nor model.

A run's `pictures/<dataset>/` holds INDEX.jpg and, for segmentation, INDEX-truth.png once for all cells; a segmentation
cell keeps its predictions in `masks.npz`, one boolean array an index. An index is the image's place in the evaluation
set. All have at most SIDE_PX on the longer side; about 30 kB an image and run, 2 kB an image and cell.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["KEPT", "SHOWN_CONFIDENCE", "kept", "save_masks", "save_picture", "save_pictures", "shrink_mask"]

KEPT, SIDE_PX = 200, 512
SHOWN_CONFIDENCE = 0.25  # boxes of less are not drawn
Mask = NDArray[np.bool_]


def kept(count: int) -> list[int]:
    """Indices of the images that a report may choose from: all, or KEPT spread evenly; the same for every model."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(KEPT, count))})


def save_pictures(folder: Path, images: tuple[Path, ...]) -> None:
    """The kept ones of the evaluation images, as Ultralytics sees them (EXIF turns applied)."""
    for index in kept(len(images)):
        if not (folder / f"{index}.jpg").exists():
            with Image.open(images[index]) as opened:
                _save(_shrunk(ImageOps.exif_transpose(opened).convert("RGB")), folder / f"{index}.jpg")


def save_picture(folder: Path, index: int, image: NDArray[np.uint8], truth: Mask) -> None:
    """One RGB image (H, W, 3) and its true mask (H, W)."""
    if not (folder / f"{index}-truth.png").exists():
        _save(_shrunk(Image.fromarray(image)), folder / f"{index}.jpg")
        _save(Image.fromarray(shrink_mask(truth)), folder / f"{index}-truth.png")


def save_masks(path: Path, masks: dict[int, Mask]) -> None:
    """`shrink_mask` of the predictions by index, into one compressed file."""
    arrays: dict[str, Any] = {str(index): mask for index, mask in masks.items()}
    np.savez_compressed(path, **arrays)


def shrink_mask(mask: Mask) -> Mask:
    """As large as its picture; a pixel is set where a quarter of what it covers was, so that thin cracks stay."""
    grey = _shrunk(Image.fromarray(mask.astype(np.uint8) * 255))
    return np.asarray(grey) >= 64


def _shrunk(picture: Image.Image) -> Image.Image:
    scale = SIDE_PX / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _save(picture: Image.Image, path: Path) -> None:
    """All or nothing: several cells may write the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}-{path.name}")
    picture.save(part, quality=85, optimize=True)
    part.replace(path)
