"""AP of any choice of images against pycocotools on a set that physically holds them."""

from typing import Any

import numpy as np
import pytest

from experiments.metrics.coco_ap import METRICS, coco_ap, coco_ap_per_class
from experiments.metrics.coco_resampled import CocoImages
from tests.experiments.metrics.test_coco_ap import box_truth, detection, oracle, random_set


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


def named(truth: dict[str, Any]) -> dict[str, Any]:
    return {**truth, "images": [{**image, "file_name": f"{image['id']}.jpg"} for image in truth["images"]]}


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
    scores = CocoImages(named(truth), found).scores(sets)
    for index, times in enumerate(sets):
        assert values(scores, index) == pytest.approx(oracle(*repeated(truth, found, times), "bbox")[0], abs=1e-12)


def test_once_each_is_faster_coco_eval() -> None:
    truth, found = random_set(5)
    scores = CocoImages(named(truth), found).scores(np.ones((1, 12), int))
    assert {name: scores[name][0] for name in METRICS} == pytest.approx(coco_ap(truth, found), abs=1e-12)
    for name, value in coco_ap_per_class(truth, found).items():
        assert scores[f"AP of {name}"][0] == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True)


def test_many_sets_and_images_without_objects() -> None:
    """More sets than are worked on at once; without an object or a detection there is NaN and 0, as in COCOeval."""
    truth = named(box_truth([0, 0, 40, 40]))
    truth["images"].append({"id": 2, "width": 200, "height": 200, "file_name": "empty.jpg"})
    sets = np.tile([[1, 0], [0, 2], [1, 5]], (30, 1))
    nothing = CocoImages(truth, []).scores(sets)
    assert np.array_equal(nothing["AP"], np.tile([0, np.nan, 0], 30), equal_nan=True)
    found = [detection(1, 1, np.array([0, 0, 40, 40]), 0.5), detection(2, 1, np.array([0, 0, 40, 40]), 0.9)]
    scores = CocoImages(truth, found).scores(sets)
    assert scores["AP50"][[0, 2, 87, 89]] == pytest.approx([1, 1 / 6, 1, 1 / 6])
    assert np.isnan(scores["AP_S"]).all() and scores["AR_M"][0] == 1
