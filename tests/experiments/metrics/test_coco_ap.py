"""AP of whole sets and of any choice of their images, against two libraries and a case counted by hand."""

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO as COCO_faster
from faster_coco_eval import COCOeval_faster
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from experiments.metrics.coco_ap import METRICS, CocoImages


def random_set(seed: int, images: int = 12, classes: int = 4) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Objects of all COCO sizes with crowds, and detections that are shifted copies, doubles and inventions."""
    random = np.random.default_rng(seed)
    truth: dict[str, Any] = {
        "images": [{"id": i + 1, "file_name": f"{i + 1}.jpg", "width": 400, "height": 300} for i in range(images)],
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


def oracle(truth: dict[str, Any], found: list[dict[str, Any]]) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {"info": {}, **truth}
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(v) for v in evaluation.stats]


def once(truth: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, float]:
    """Of every image once."""
    return {
        k: float(v[0]) for k, v in CocoImages.of(truth, found).scores(np.ones((1, len(truth["images"])), int)).items()
    }


def box_truth(*boxes: list[float]) -> dict[str, Any]:
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, box in enumerate(boxes)
    ]
    return {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 200, "height": 200}],
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
    result = once(truth, found)
    loose, strict = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert result["AP50"] == pytest.approx(loose)
    assert result["AP75"] == pytest.approx(strict)
    assert result["AP"] == pytest.approx((3 * loose + 7 * strict) / 10)
    assert np.isnan(result["AP_S"]) and np.isnan(result["AP_L"])
    assert result["AR1"] == pytest.approx(0.5)
    assert result["AR100"] == pytest.approx((3 * 1 + 7 * 0.5) / 10)


def test_nothing_found_is_zero_and_inputs_stay() -> None:
    truth = box_truth([0, 0, 40, 40])
    before = str(truth)
    assert once(truth, [])["AP"] == 0.0
    found = [detection(1, 1, np.array([0, 0, 40, 40]), 0.5)]
    kept = str(found)
    assert once(truth, found)["AP"] == pytest.approx(1.0)
    assert str(truth) == before and str(found) == kept


def repeated(truth: dict[str, Any], found: list[Any], times: list[int]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Image k occurs times[k] times, as new images beside each other."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image, count in zip(truth["images"], times, strict=True):
        for _ in range(count):
            new = {"image_id": len(images) + 1}
            images.append({**image, "id": len(images) + 1})
            for item in truth["annotations"]:
                if item["image_id"] == image["id"]:
                    annotations.append({**item, **new, "id": len(annotations) + 1})
            predictions += [{**item, **new} for item in found if item["image_id"] == image["id"]]
    return {"images": images, "annotations": annotations, "categories": truth["categories"]}, predictions


def values(scores: dict[str, Any], index: int) -> list[float]:
    return [-1.0 if np.isnan(scores[name][index]) else float(scores[name][index]) for name in METRICS]


@pytest.mark.parametrize(("seed", "ties"), [(0, False), (1, False), (2, True), (3, True)])
def test_equal_to_pycocotools_on_copied_images(seed: int, ties: bool) -> None:
    """Crowds, all sizes, a class without objects; scores in steps of 0.1 tie within and across images."""
    truth, found = random_set(seed)
    if ties:
        found = [{**item, "score": round(item["score"], 1)} for item in found]
    rng = np.random.default_rng(seed)
    sets = np.stack([np.ones(12, int), *rng.multinomial(12, np.full(12, 1 / 12), size=2)])
    scores = CocoImages.of(truth, found).scores(sets)
    for index, times in enumerate(sets):
        assert values(scores, index) == pytest.approx(oracle(*repeated(truth, found, times)), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_every_image_once_equals_both_libraries(seed: int) -> None:
    truth, found = random_set(seed)
    ours = once(truth, found)
    assert [-1 if np.isnan(ours[name]) else ours[name] for name in METRICS] == pytest.approx(
        oracle(truth, found), abs=1e-12
    )
    ground = COCO_faster(copy.deepcopy(truth))
    evaluation = COCOeval_faster(ground, ground.loadRes(copy.deepcopy(found)), "bbox", print_function=lambda *_: None)
    evaluation.run()
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]  # IoU, recall, class
    assert np.isnan(ours["AP of c3"])
    for index in range(3):
        assert ours[f"AP of c{index}"] == pytest.approx(precision[:, :, index].mean(), abs=1e-12)


def test_many_sets_and_images_without_objects() -> None:
    """More sets than are worked on at once; without an object or a detection there is NaN and 0, as in COCOeval."""
    truth = box_truth([0, 0, 40, 40])
    truth["images"].append({"id": 2, "width": 200, "height": 200, "file_name": "empty.jpg"})
    sets = np.tile([[1, 0], [0, 2], [1, 5]], (30, 1))
    with np.errstate(all="raise"):  # no user meets a warning of numpy's
        nothing = CocoImages.of(truth, []).scores(sets)
    assert np.array_equal(nothing["AP"], np.tile([0, np.nan, 0], 30), equal_nan=True)
    found = [detection(1, 1, np.array([0, 0, 40, 40]), 0.5), detection(2, 1, np.array([0, 0, 40, 40]), 0.9)]
    scores = CocoImages.of(truth, found).scores(sets)
    assert scores["AP50"][[0, 2, 87, 89]] == pytest.approx([1, 1 / 6, 1, 1 / 6])
    assert np.isnan(scores["AP_S"]).all() and scores["AR_M"][0] == 1
