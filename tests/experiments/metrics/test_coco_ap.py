"""Our AP against pycocotools on random sets, and against a case counted by hand."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from experiments.metrics.coco_ap import METRICS, coco_ap, coco_ap_per_class


def random_set(seed: int, images: int = 12, classes: int = 4) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Objects of all COCO sizes with crowds, and detections that are shifted copies, doubles and inventions."""
    random = np.random.default_rng(seed)
    truth: dict[str, Any] = {
        "images": [{"id": i + 1, "width": 400, "height": 300} for i in range(images)],
        "categories": [{"id": c + 1, "name": f"c{c}"} for c in range(classes)],
        "annotations": [],
    }
    found = []
    for image in truth["images"]:
        for _ in range(random.integers(0, 9)):
            w, h = random.uniform(4, 180, 2)
            x, y = random.uniform(0, 400 - w), random.uniform(0, 300 - h)
            category = int(random.integers(1, classes))  # the last class never occurs in the truth
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(random.random() < 0.1),
                    "segmentation": ellipse(x, y, w, h),
                }
            )
            for _ in range(random.integers(0, 3)):
                box = np.array([x, y, w, h]) * random.normal(1, 0.08, 4)
                category_found = category if random.random() < 0.9 else int(random.integers(1, classes + 1))
                found.append(detection(image["id"], category_found, box, random.random()))
        for _ in range(random.integers(0, 4)):
            box = random.uniform(5, 150, 4)
            found.append(detection(image["id"], int(random.integers(1, classes + 1)), box, random.random()))
    return truth, found


def detection(image: int, category: int, box: np.ndarray, score: float) -> dict[str, Any]:
    x, y, w, h = (float(v) for v in box)
    return {"image_id": image, "category_id": category, "bbox": [x, y, w, h], "score": float(score)}


def ellipse(x: float, y: float, w: float, h: float) -> dict[str, Any]:
    rows, columns = np.mgrid[:300, :400]
    inside = ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1
    code = rle.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}


def oracle(truth: dict[str, Any], found: list[dict[str, Any]], kind: str) -> tuple[list[float], COCOeval]:
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {"info": {}, **truth}
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(found), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(v) for v in evaluation.stats], evaluation


@pytest.mark.parametrize("seed", range(4))
def test_boxes_equal_pycocotools(seed: int) -> None:
    truth, found = random_set(seed)
    ours = coco_ap(truth, found)
    expected, evaluation = oracle(truth, found, "bbox")
    assert tuple(ours) == METRICS
    assert [-1 if v is None else v for v in ours.values()] == pytest.approx(expected, abs=1e-9)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    by_class = coco_ap_per_class(truth, found)
    assert by_class["c3"] is None
    for index in range(3):
        assert by_class[f"c{index}"] == pytest.approx(precision[:, :, index].mean(), abs=1e-9)


def test_masks_equal_pycocotools() -> None:
    truth, _ = random_set(7)
    random = np.random.default_rng(7)
    found = []
    for a in truth["annotations"]:
        x, y, w, h = np.array(a["bbox"]) * random.normal(1, 0.05, 4)
        found.append(
            {
                "image_id": a["image_id"],
                "category_id": a["category_id"],
                "segmentation": ellipse(x, y, w, h),
                "score": float(random.random()),
            }
        )
    ours = coco_ap(truth, found, "segm")
    assert [-1 if v is None else v for v in ours.values()] == pytest.approx(oracle(truth, found, "segm")[0], abs=1e-9)


def box_truth(*boxes: list[float]) -> dict[str, Any]:
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, box in enumerate(boxes)
    ]
    return {
        "images": [{"id": 1, "width": 200, "height": 200}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": annotations,
    }


def test_counted_by_hand() -> None:
    """Two objects of 40x40; the first found exactly, the second with IoU 0.6, one false alarm between them.

    IoU 0.50 to 0.60 (3 thresholds): precision 1 up to recall 0.5 (51 of 101 points), then 2/3 (50 points).
    IoU 0.65 to 0.95 (7): precision 1 up to recall 0.5, nothing after.
    """
    truth = box_truth([0, 0, 40, 40], [100, 100, 40, 40])
    found = [
        detection(1, 1, np.array([0, 0, 40, 40]), 0.9),
        detection(1, 1, np.array([0, 150, 20, 20]), 0.8),
        detection(1, 1, np.array([100, 100, 40, 24]), 0.7),  # IoU 24/40
    ]
    result = coco_ap(truth, found)
    loose, strict = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert result["AP50"] == pytest.approx(loose)
    assert result["AP75"] == pytest.approx(strict)
    assert result["AP"] == pytest.approx((3 * loose + 7 * strict) / 10)
    assert result["AP_S"] is None and result["AP_L"] is None
    assert result["AR1"] == pytest.approx(0.5)
    assert result["AR100"] == pytest.approx((3 * 1 + 7 * 0.5) / 10)


def test_nothing_found_is_zero_and_inputs_stay() -> None:
    truth = box_truth([0, 0, 40, 40])
    before = str(truth)
    assert coco_ap(truth, [])["AP"] == 0.0
    found = [detection(1, 1, np.array([0, 0, 40, 40]), 0.5)]
    kept = str(found)
    assert coco_ap(truth, found)["AP"] == pytest.approx(1.0)
    assert str(truth) == before and str(found) == kept
