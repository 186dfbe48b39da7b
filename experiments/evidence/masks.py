"""Segmentation: segplug's contributions of each image, and small masks of the predictions.

`masks.npz` holds one boolean array an index, 2 kB an image and cell; beside each picture lies its target's mask.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.cells.record import read_json
from experiments.cells.row import Row
from experiments.evidence.compact import COMPACT, opened
from experiments.evidence.pictures import (
    RUN_AGAIN,
    enlarged,
    has_pictures,
    jpeg,
    kept,
    read_picture,
    save_picture,
    shrunk,
)
from segplug.metrics import Contributions
from segplug.metrics.curve import AP_BINS, THRESHOLDS
from segplug.page.palette import FALSE_ALARM, HIT, MISS, rgb

FILES: dict[str, Any] = {"per_image": ["per_image.json"], "contributions": "per_image.npz", "masks": "masks.npz"}
Mask = NDArray[np.bool_]


class CrackImages:
    """segplug's contributions. `coarse`: as `save_compact` writes them; they give no AP and no scs_compat_*."""

    def __init__(self, path: Path, coarse: bool = False) -> None:
        self._every, self._coarse = Contributions.load(path), coarse
        self.names = [str(name) for name in self._every.names]
        self.groups = None if self._every.groups is None else [str(group) for group in self._every.groups]

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        sets = self._every.scores_of_sets(multiplicities)
        known = [name for name in sets[0] if not (self._coarse and (name == "ap" or name.startswith("scs_compat")))]
        return {name: np.array([scores[name] for scores in sets], dtype=np.float64) for name in known}

    def save_compact(self, path: Path) -> None:
        """With histograms at the 100 thresholds of ODS and OIS alone: about 2 % of the size."""
        every = self._every
        step = AP_BINS // THRESHOLDS
        image = np.repeat(np.arange(len(every.names)), np.diff(every.starts))
        keys = image * 2 * THRESHOLDS + every.bins // step
        places, which = np.unique(keys, return_inverse=True)
        pixels = np.bincount(which, every.pixels.astype(np.float64)).astype(np.uint32)
        starts = np.searchsorted(places, np.arange(len(every.names) + 1) * 2 * THRESHOLDS)
        bins = (places % (2 * THRESHOLDS) * step).astype(np.uint16)
        none = np.zeros_like(every.scs_f1)
        replace(every, starts=starts, bins=bins, pixels=pixels, scs_f1=none, scs_miou=none).save(path)


def open_images(row: Row, folder: Path) -> CrackImages | None:
    path, compact = folder / row["files"].get("contributions", ""), folder / COMPACT
    if path.is_file():
        return CrackImages(path)
    return CrackImages(compact, coarse=True) if compact.is_file() else None


def name_photos(path: Path, photos: Mapping[str, str]) -> None:
    """Write into segplug's contributions which photo each image is a crop of."""
    every = Contributions.load(path)
    replace(every, groups=np.array([photos[str(name)] for name in every.names])).save(path)


class MaskPanels:
    """One cell's masks."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self._file, self._pictures = folder / FILES["masks"], pictures
        rows = read_json(folder / FILES["per_image"][0], RUN_AGAIN)
        self.names = [row["name"] for row in rows]
        self.scores = {index: float(rows[index]["iou_crack"]) for index in kept(len(rows))}

    @cached_property
    def _predictions(self) -> dict[str, Mask]:
        return opened(self._file, _load, f"delete {RUN_AGAIN} and run the spec again")

    def panel(self, index: int, target: bool) -> bytes:
        """The target coloured as found, or found, missed and false pixels coloured; the rest is greyed."""
        grey = read_picture(self._pictures / f"{index}.jpg", "L").convert("RGB")
        pixels = np.asarray(grey, dtype=np.float32) * 0.75
        label = np.asarray(read_picture(self._pictures / f"{index}-truth.png", "L")) > 0
        areas = [(label, HIT)]
        if not target:
            mask = self._predictions[str(index)]
            areas = [(label & mask, HIT), (label & ~mask, MISS), (mask & ~label, FALSE_ALARM)]
        for area, colour in areas:
            pixels[area] = rgb(colour)
        return jpeg(enlarged(Image.fromarray(pixels.astype(np.uint8))))


def _load(path: Path) -> dict[str, Mask]:
    with np.load(path) as masks:
        return dict(masks)


def open_panels(row: Row, folder: Path) -> MaskPanels | None:
    files = [folder / FILES["per_image"][0], folder / FILES["masks"]]
    if "pictures" not in row["files"] or not all(path.is_file() for path in files):
        return None
    pictures = (folder / row["files"]["pictures"]).resolve()
    panels = MaskPanels(folder, pictures)
    return panels if has_pictures(pictures, len(panels.names), ".jpg", "-truth.png") else None


def save_target(folder: Path, index: int, image: NDArray[np.uint8], target: Mask) -> None:
    """One RGB image (H, W, 3) and its true mask (H, W), among the pictures."""
    if not (folder / f"{index}-truth.png").exists():
        save_picture(shrunk(Image.fromarray(image)), folder / f"{index}.jpg")
        save_picture(Image.fromarray(shrink_mask(target)), folder / f"{index}-truth.png")


def save_masks(path: Path, masks: dict[int, Mask]) -> None:
    """`shrink_mask` of the predictions by index, into one compressed file."""
    arrays: dict[str, Any] = {str(index): mask for index, mask in masks.items()}
    np.savez_compressed(path, **arrays)


def shrink_mask(mask: Mask) -> Mask:
    """As large as its picture; a pixel is set where a quarter of what it covers was, so that thin cracks stay."""
    grey = shrunk(Image.fromarray(mask.astype(np.uint8) * 255))
    return np.asarray(grey) >= 64
