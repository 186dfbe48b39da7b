"""Cracks as COCO annotations with run lengths, and the dataset file that holds them."""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from segplug.arrays import Floats, Mask
from segplug.prediction.records import Record


def crack_annotations(mask: Mask, probability: Floats) -> list[dict[str, Any]]:
    """One for each 8-connected crack: RLE, bbox [x, y, width, height], area in px, score (mean probability)."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    found: list[dict[str, Any]] = []
    for number in range(1, count):
        x, y, width, height, area = (int(v) for v in boxes[number])
        window = np.s_[y : y + height, x : x + width]
        inside = labels[window] == number
        found.append(
            {
                "segmentation": _run_lengths(inside, y, x, mask.shape),
                "bbox": [x, y, width, height],
                "area": area,
                "score": round(float(probability[window][inside].mean()), 4),
                "iscrowd": 0,
                "category_id": 1,
            }
        )
    return found


def dataset(records: Iterable[Record]) -> dict[str, Any]:
    """COCO's file: images, their annotations, one category."""
    images: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, record in enumerate(records, start=1):
        row = record.row
        images.append({"id": number, "file_name": row["source"], "width": row["width"], "height": row["height"]})
        found += [{"id": len(found) + i, "image_id": number, **a} for i, a in enumerate(record.annotations, start=1)]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "name": "crack"}]}


def _run_lengths(inside: Mask, top: int, left: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """COCO's compressed RLE, column by column, of a window of a mask of `shape`."""
    from pycocotools import mask as coco_mask

    height, width = shape
    column, row = np.nonzero(inside.T)
    at = (left + column) * height + top + row
    begins = np.flatnonzero(np.diff(at, prepend=-2) > 1)
    starts, lengths = at[begins], np.diff(begins, append=len(at))
    ends = starts + lengths
    gaps = np.diff(np.concatenate([[0], ends]))[: len(starts)] - lengths
    counts = np.append(np.stack([gaps, lengths], axis=1).ravel(), height * width - ends[-1])
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
