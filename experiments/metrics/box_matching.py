"""Which predicted box takes which object: the rule that error types and pictures share.

Best score first, each prediction takes the free object of its class with the largest IoU, from 0.5 on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = ["FOREGROUND_IOU", "box_iou", "by_image", "match", "same_class"]

FOREGROUND_IOU = 0.5
Items = list[dict[str, Any]]  # of COCO annotations or results


def by_image(items: Items) -> dict[int, Items]:
    """Image id -> its items."""
    grouped: dict[int, Items] = {}
    for item in items:
        grouped.setdefault(item["image_id"], []).append(item)
    return grouped


def box_iou(found: Items, objects: Items, crowd: bool = False) -> NDArray[np.float64]:
    """(predictions, objects); for crowds the share of the prediction that lies inside."""
    if not found or not objects:
        return np.zeros((len(found), len(objects)))
    boxes = [np.array([item["bbox"] for item in items], dtype=np.float64) for items in (found, objects)]
    return np.asarray(coco_mask.iou(*boxes, [int(crowd)] * len(objects)), dtype=np.float64)


def same_class(found: Items, objects: Items) -> NDArray[np.bool_]:
    """(predictions, objects)."""
    classes = [np.array([item["category_id"] for item in items], dtype=np.int64) for items in (found, objects)]
    return np.equal.outer(*classes)


def match(iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """(predictions, objects) of one class, 0 elsewhere; for each prediction, best first, the object it takes, or -1."""
    taken = np.full(len(iou), -1)
    left = iou.copy()
    for index in range(len(left) if left.shape[1] else 0):
        best = int(left[index].argmax())
        if left[index, best] >= FOREGROUND_IOU:
            taken[index] = best
            left[:, best] = 0
    return taken
