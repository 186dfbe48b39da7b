"""Which predicted box takes which object, by COCOeval's rule; AP, error types and pictures share it.

Rule: `COCOeval.evaluateImg` of pycocotools. Best score first, each prediction takes the free object of largest IoU, the
last of equals; an ignored one if there is no other. A crowd is never used up.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

FOREGROUND_IOU = 0.5
Items = list[dict[str, Any]]  # of COCO annotations or results
Bools = NDArray[np.bool_]


def by_image(items: Items) -> dict[int, Items]:
    """Image id -> its items."""
    grouped: dict[int, Items] = {}
    for item in items:
        grouped.setdefault(item["image_id"], []).append(item)
    return grouped


def crowds(objects: Items) -> Bools:
    """(objects,)."""
    return np.array([bool(item.get("iscrowd")) for item in objects], dtype=bool)


def box_iou(predictions: Items, targets: Items) -> NDArray[np.float64]:
    """(predictions, targets); for a crowd the share of the prediction that lies inside."""
    if not predictions or not targets:
        return np.zeros((len(predictions), len(targets)))
    boxes = [np.array([item["bbox"] for item in items], dtype=np.float64) for items in (predictions, targets)]
    return np.asarray(coco_mask.iou(*boxes, crowds(targets).astype(np.uint8).tolist()), dtype=np.float64)


def same_class(predictions: Items, targets: Items) -> Bools:
    """(predictions, targets)."""
    classes = [np.array([item["category_id"] for item in items], dtype=np.int64) for items in (predictions, targets)]
    return np.equal.outer(*classes)


def match_boxes(
    iou: NDArray[np.float64],
    thresholds: Sequence[float] | NDArray[np.float64] = (FOREGROUND_IOU,),
    crowd: Bools | None = None,
    ignored: Bools | None = None,
) -> NDArray[np.int64]:
    """(thresholds, predictions): the object that each takes, or -1, of `box_iou` of one class with the best first.

    crowd, ignored: (objects,); none is where they are not given. An IoU of 0 takes nothing.
    """
    none = np.zeros(iou.shape[1], dtype=bool)
    crowd, ignored = none if crowd is None else crowd, none if ignored is None else ignored
    least = np.minimum(thresholds, 1 - 1e-10)
    taken, used = np.full((len(least), len(iou)), -1), np.zeros((len(least), iou.shape[1]), dtype=bool)
    for index in np.flatnonzero((iou >= least.min()).any(axis=1)):
        free = (iou[index] >= least[:, None]) & (~used | crowd)
        counted = free & ~ignored
        pool = np.where(counted.any(axis=1, keepdims=True), counted, free)
        choice = iou.shape[1] - 1 - np.where(pool, iou[index], -1.0)[:, ::-1].argmax(axis=1)
        hit = np.flatnonzero(pool.any(axis=1))
        used[hit, choice[hit]] = True
        taken[hit, index] = choice[hit]
    return taken
