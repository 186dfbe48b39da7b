"""Which detections take which objects, by COCOeval's rule, found once for each image.

Rule: `COCOeval.evaluateImg` of pycocotools; an image's matches do not depend on the other images, so that they stay
as they are when images are drawn several times.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = ["AREAS_PX2", "IOUS", "MOST", "Matches", "match_class"]

IOUS = np.linspace(0.5, 0.95, 10)
AREAS_PX2 = {"all": (0.0, 1e10), "S": (0.0, 32.0**2), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}
MOST = 100  # detections of one class kept an image, best first
Items = list[dict[str, Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """Detections (D) of one class in all n images, for objects of one area range; images in order, best first in each.

    image (D,), rank (D,) within the image, score (D,). right (T, D): takes an object of the range at this IoU.
    taken (T, D): takes any object, also one that is ignored. inside (D,): its own area is in the range.
    objects (n,): objects that count.
    """

    image: NDArray[np.int64]
    rank: NDArray[np.int64]
    score: NDArray[np.float64]
    right: Bools
    taken: Bools
    inside: Bools
    objects: NDArray[np.int64]


def match_class(objects: list[Items], found: list[Items]) -> dict[str, Matches]:
    """Area range -> Matches, from the COCO annotations and results of one class, a list for each image."""
    parts: dict[str, list[tuple[Any, ...]]] = {area: [] for area in AREAS_PX2}
    for image, (own, detections) in enumerate(zip(objects, found, strict=True)):
        scores = np.array([-d["score"] for d in detections])
        best = [detections[k] for k in np.argsort(scores, kind="mergesort")[:MOST]]
        crowd = np.array([bool(o.get("iscrowd")) for o in own], dtype=bool)
        iou = _iou(best, own, crowd)
        sizes = np.array([o["area"] for o in own], dtype=float)
        areas = np.array([d["bbox"][2] * d["bbox"][3] for d in best], dtype=float)
        for name, (low, high) in AREAS_PX2.items():
            ignored = crowd | (sizes < low) | (sizes > high)
            right, taken = _match(iou, crowd, ignored)
            inside = (areas >= low) & (areas <= high)
            ranks = np.arange(len(best))
            own_scores = np.array([d["score"] for d in best], dtype=float)
            place = np.full(len(best), image)
            parts[name].append((place, ranks, own_scores, right, taken, inside, [np.count_nonzero(~ignored)]))
    return {
        name: Matches(*(np.concatenate(column, axis=-1) for column in zip(*rows, strict=True)))
        for name, rows in parts.items()
    }


def _iou(found: Items, objects: Items, crowd: Bools) -> NDArray[np.float64]:
    """(detections, objects); for a crowd the share of the detection that lies inside."""
    if not found or not objects:
        return np.zeros((len(found), len(objects)))
    boxes = [np.array([item["bbox"] for item in items], dtype=np.float64) for items in (found, objects)]
    return np.asarray(coco_mask.iou(*boxes, crowd.astype(np.uint8).tolist()), dtype=np.float64)


def _match(iou: NDArray[np.float64], crowd: Bools, ignored: Bools) -> tuple[Bools, Bools]:
    """(T, detections) right and taken: the free object of largest IoU, the last of equals; an ignored one if no other.

    A crowd is never used up.
    """
    right, taken = np.zeros((2, len(IOUS), len(iou)), dtype=bool)
    least = np.minimum(IOUS, 1 - 1e-10)
    used = np.zeros((len(IOUS), iou.shape[1]), dtype=bool)
    for index in np.flatnonzero((iou >= least[0]).any(axis=1)) if iou.size else ():
        free = (iou[index] >= least[:, None]) & (~used | crowd)
        counted = free & ~ignored
        pool = np.where(counted.any(axis=1, keepdims=True), counted, free)
        choice = iou.shape[1] - 1 - np.where(pool, iou[index], -1.0)[:, ::-1].argmax(axis=1)
        hit = np.flatnonzero(pool.any(axis=1))
        used[hit, choice[hit]] = True
        taken[hit, index] = True
        right[hit, index] = ~ignored[choice[hit]]
    return right, taken
