"""Pictures of the images that were scored worst: photo, label, and where the prediction was right, wrong or missing."""

from __future__ import annotations

from heapq import heapify, heappushpop
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.data.dataset import CrackDataset
from segplug.data.write_image import write_picture

__all__ = ["WorstImages", "draw_comparison"]

HIT, FALSE_ALARM, MISS, IGNORED = (60, 180, 75), (230, 60, 40), (60, 110, 255), (70, 70, 70)  # RGB
LEGEND = (("hit", HIT), ("false alarm", FALSE_ALARM), ("miss", MISS), ("no label", IGNORED))
LONGEST_PX = 1280
STRIP_PX = 28


class WorstImages:
    """Keeps the predictions of the `keep` images of lowest IoU, whatever the number of images."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._heap: list[tuple[float, int, str, NDArray[np.bool_], NDArray[np.bool_] | None]] = []

    def add(self, iou: float, index: int, name: str, found: NDArray[np.bool_], valid: NDArray[np.bool_] | None) -> None:
        """`index`: of the image in its dataset. Of equal images the earlier one is kept."""
        entry = (-iou, -index, name, found, valid)
        if len(self._heap) < self._keep:
            self._heap.append(entry)
            heapify(self._heap)
        elif self._keep and entry > self._heap[0]:
            heappushpop(self._heap, entry)

    def write(self, folder: Path, dataset: CrackDataset) -> list[Path]:
        """folder/01_iou0.1234_NAME.png …, worst first. Raises SegplugError when it cannot be written."""
        files = []
        for rank, (iou, index, name, found, valid) in enumerate(sorted(self._heap, reverse=True), start=1):
            image, mask = dataset.arrays(-index)
            file = folder / f"{rank:02}_iou{-iou:.4f}_{name}.png"
            write_picture(file, draw_comparison(image, mask == 1, found, valid, -iou))
            files.append(file)
        return files


def draw_comparison(
    image: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    found: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None,
    iou: float,
) -> NDArray[np.uint8]:
    """RGB picture: a legend, then photo, label and coloured prediction side by side, (H, W) each.

    Panels above 1280 px are shrunk.
    """
    label = np.where(truth[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    compared = np.zeros_like(image)
    for where, colour in ((truth & found, HIT), (found & ~truth, FALSE_ALARM), (truth & ~found, MISS)):
        compared[where] = colour
    if valid is not None:
        label[~valid] = compared[~valid] = IGNORED
    panels = np.concatenate([_shrink(p) for p in (image, label, compared)], axis=1)
    strip = np.zeros((STRIP_PX, panels.shape[1], 3), dtype=np.uint8)
    left = 6
    for text, colour in ((f"IoU {iou:.3f}", (255, 255, 255)), *LEGEND):
        cv2.putText(strip, text, (left, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] + 14
    return np.concatenate([strip, panels], axis=0)


def _shrink(panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = panel.shape[:2]
    scale = LONGEST_PX / max(h, w)
    if scale >= 1:
        return panel
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
