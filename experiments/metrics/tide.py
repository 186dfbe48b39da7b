"""What kind of error costs how much AP50: TIDE on COCO dictionaries.

Paper: Bolya et al. 2020, https://arxiv.org/abs/2008.08115, sections 2.1 and 2.2; thresholds 0.5 and 0.1, boxes.
Departs: a class without any object in the ground truth is left out of the mean, as COCOeval does; tidecv counts it
as 0. On sets without such a class the numbers are tidecv's.

Every false positive is one of five errors, asked in this order: localisation (own class, IoU 0.1 to 0.5),
classification (other class, IoU 0.5 or more), duplicate (own class, IoU 0.5 or more, the object is taken), background
(IoU at most 0.1 with everything), both (the rest). An object that nobody tried to find is missed. The cost of a kind
is what AP50 gains when an oracle repairs only its errors: the best prediction meant for an object becomes right, all
others of the kind go; missed objects are no longer asked for. Costs do not add up to 1 - AP50.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.average_precision import over_recalls
from experiments.metrics.box_matching import FOREGROUND_IOU, box_iou, by_image, match_boxes, same_class

ERROR_TYPES = ("classification", "localisation", "both", "duplicate", "background", "missed")
BACKGROUND_IOU, MOST = 0.1, 100
_RECALLS = np.arange(101) / 100  # as tidecv has them; COCOeval's 0.35 is a last bit larger


@dataclass(frozen=True)
class _Prediction:
    """`repaired`: the class under which the oracle makes it right; None: the oracle removes it."""

    score: float
    category: int
    error: str | None
    ignored: bool = False
    repaired: int | None = None


def error_types(targets: dict[str, Any], predictions: list[dict[str, Any]]) -> dict[str, float]:
    """`AP50` and what it gains without each of ERROR_TYPES, in [0, 1]; empty without ground truth.

    `targets` is a COCO annotation dictionary, `predictions` a COCO result list; the best 100 of an image count. A crowd
    is no object; a prediction of its class, half inside it, is no false positive.
    """
    objects = by_image(targets["annotations"])
    predicted = by_image(predictions)
    positives: dict[int, int] = {}
    missed: dict[int, int] = {}
    judged: list[_Prediction] = []
    for image in targets["images"]:
        own, not_tried = _judge(objects.get(image["id"], []), predicted.get(image["id"], []))
        judged += own
        for category in not_tried:
            missed[category] = missed.get(category, 0) + 1
        for item in objects.get(image["id"], []):
            if not item.get("iscrowd"):
                positives[item["category_id"]] = positives.get(item["category_id"], 0) + 1
    if not positives:
        return {}
    base = _ap50([p for p in judged if not p.ignored], positives)
    costs = {"AP50": base}
    for kind in ERROR_TYPES:
        left = {c: n - (missed.get(c, 0) if kind == "missed" else 0) for c, n in positives.items()}
        costs[kind] = max(0.0, _ap50(_without(judged, kind), left) - base)
    return costs


def _judge(objects: list[dict[str, Any]], predictions: list[dict[str, Any]]) -> tuple[list[_Prediction], list[int]]:
    """The predictions of one image with their errors, and the classes of the objects that nobody tried to find."""
    predictions = sorted(predictions, key=lambda p: -p["score"])[:MOST]
    crowds = [item for item in objects if item.get("iscrowd")]
    objects = [item for item in objects if not item.get("iscrowd")]
    iou, same = box_iou(predictions, objects), same_class(predictions, objects)
    (taken_by,) = match_boxes(np.where(same, iou, 0.0))
    taken = np.isin(np.arange(len(objects)), taken_by)
    inside = box_iou(predictions, crowds) > FOREGROUND_IOU
    judged: list[_Prediction] = []
    tried: set[int] = set()
    for index, prediction in enumerate(predictions):
        category = prediction["category_id"]
        crowd = any(i and c["category_id"] == category for i, c in zip(inside[index], crowds, strict=True))
        plain = _Prediction(prediction["score"], category, None)
        if taken_by[index] >= 0:
            judged.append(plain)
            continue
        kind, target = _error(iou[index], same[index], taken)
        wrong = replace(plain, error=kind, ignored=crowd)
        if target is not None and not taken[target] and target not in tried:  # the best prediction comes first
            tried.add(target)
            wrong = replace(wrong, repaired=objects[target]["category_id"])
        judged.append(wrong)
    not_tried = [o["category_id"] for i, o in enumerate(objects) if not taken[i] and i not in tried]
    return judged, not_tried


def _error(iou: NDArray[np.float64], same: NDArray[np.bool_], taken: NDArray[np.bool_]) -> tuple[str, int | None]:
    """Kind of one false positive, and the object that it was meant for."""
    if not iou.size:
        return "background", None
    own, other, used = np.where(same, iou, 0.0), np.where(same, 0.0, iou), np.where(same & taken, iou, 0.0)
    if BACKGROUND_IOU <= own.max() <= FOREGROUND_IOU:
        return "localisation", int(own.argmax())
    if other.max() >= FOREGROUND_IOU:
        return "classification", int(other.argmax())
    if used.max() >= FOREGROUND_IOU:
        return "duplicate", None
    return ("background" if iou.max() <= BACKGROUND_IOU else "both"), None


def _without(judged: list[_Prediction], kind: str) -> list[_Prediction]:
    """What the curve is made of once the errors of one kind are repaired."""
    result = []
    for prediction in judged:
        if prediction.error == kind and prediction.repaired is not None:
            result.append(replace(prediction, category=prediction.repaired, error=None))
        elif prediction.error != kind and not prediction.ignored:
            result.append(prediction)
    return result


def _ap50(predictions: list[_Prediction], positives: dict[int, int]) -> float:
    """Mean over classes of the precision at 101 recalls, as COCOeval; classes with nothing left are left out."""
    values = []
    for category, count in positives.items():
        own = sorted((p for p in predictions if p.category == category), key=lambda p: -p.score)
        if not count:
            values += [0.0] if own else []
            continue
        hits = np.flatnonzero([p.error is None for p in own])
        right = np.arange(1, len(hits) + 1)
        values.append(float(over_recalls(right[None], (hits + 1)[None], np.array([[count]]), _RECALLS)[0]))
    return float(np.mean(values)) if values else 0.0
