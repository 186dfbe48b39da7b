"""COCO average precision, by COCOeval's definition and nothing else.

Definitions: https://cocodataset.org/#detection-eval. Computed by faster-coco-eval; pycocotools is the oracle in tests.
Areas that separate small, medium and large (32^2 and 96^2 px) are measured in original pixels.
"""

import copy
from typing import Any, Literal

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

__all__ = ["METRICS", "coco_ap", "coco_ap_per_class"]

METRICS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")


def coco_ap(
    truth: dict[str, Any], predictions: list[dict[str, Any]], iou_type: Literal["bbox", "segm"] = "bbox"
) -> dict[str, float | None]:
    """The twelve COCOeval numbers in [0, 1]; None where the ground truth has no object of that size.

    `truth` is a COCO annotation dictionary, `predictions` a COCO result list. Both are left unchanged.
    """
    stats = _evaluate(truth, predictions, iou_type).stats[: len(METRICS)]
    return {name: None if value < 0 else float(value) for name, value in zip(METRICS, stats, strict=True)}


def coco_ap_per_class(truth: dict[str, Any], predictions: list[dict[str, Any]]) -> dict[str, float | None]:
    """Box AP (IoU 0.50:0.95, all areas, 100 per image) of each category by name; None without ground truth."""
    precision = np.asarray(_evaluate(truth, predictions, "bbox").eval["precision"])  # IoU, recall, class, area, max_det
    names = [category["name"] for category in sorted(truth["categories"], key=lambda c: c["id"])]
    values = {}
    for index, name in enumerate(names):
        known = precision[:, :, index, 0, -1]
        known = known[known > -1]
        values[name] = float(known.mean()) if known.size else None
    return values


def _evaluate(truth: dict[str, Any], predictions: list[dict[str, Any]], iou_type: str) -> COCOeval_faster:
    ground = COCO(copy.deepcopy(truth))
    found = ground.loadRes(copy.deepcopy(predictions)) if predictions else COCO({**truth, "annotations": []})
    evaluation = COCOeval_faster(ground, found, iou_type, print_function=_silent)
    evaluation.run()
    return evaluation


def _silent(*_: object) -> None:
    """COCOeval prints its table; the caller decides what is shown."""
