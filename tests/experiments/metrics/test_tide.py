"""Each kind of error made by hand and counted; random sets against numbers that tidecv gave."""

from typing import Any

import numpy as np
import pytest

from experiments.metrics.coco_ap import CocoImages
from experiments.metrics.tide import ERROR_TYPES, error_types

Box = tuple[float, float, float, float]
A, FAR = (0.0, 0.0, 40.0, 40.0), (100.0, 100.0, 40.0, 40.0)


def truth(*objects: tuple[int, Box], crowd: Box | None = None) -> dict[str, Any]:
    """One image; every object is a class and a box."""
    annotations = [
        {"id": i, "image_id": 1, "category_id": c, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
        for i, (c, box) in enumerate(objects, start=1)
    ]
    if crowd:
        annotations.append({**annotations[0], "id": 99, "bbox": list(crowd), "iscrowd": 1})
    return {
        "images": [{"id": 1, "width": 200, "height": 200}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": annotations,
    }


def found(*predictions: tuple[int, Box, float]) -> list[dict[str, Any]]:
    return [{"image_id": 1, "category_id": c, "bbox": list(box), "score": s} for c, box, s in predictions]


TWO_CLASSES = ((1, A), (2, FAR))
B_RIGHT = (2, FAR, 0.5)
# prediction for class a's object (class b's is found) -> the one kind that costs, and what it costs.
# Without a's object class a has AP 0 and class b 1: AP50 is 1/2.
CASES = {
    "localisation": ([(1, (0.0, 0.0, 40.0, 16.0), 0.9), B_RIGHT], 0.5),  # IoU 0.4
    "missed": ([B_RIGHT], 0.5),  # class a is asked for no more and left out: the mean of b alone
}


@pytest.mark.parametrize("kind", CASES)
def test_one_kind_alone(kind: str) -> None:
    predictions, gain = CASES[kind]
    costs = error_types(truth(*TWO_CLASSES), found(*predictions))
    assert costs["AP50"] == pytest.approx(0.5)
    assert {k: costs[k] for k in ERROR_TYPES} == pytest.approx({**dict.fromkeys(ERROR_TYPES, 0.0), kind: gain})


def test_classification() -> None:
    """Class b's object is found with 0.5, a box called b lies on class a's object with 0.9: b's precision is 1/2."""
    costs = error_types(truth(*TWO_CLASSES), found((2, A, 0.9), B_RIGHT))
    assert costs["AP50"] == pytest.approx(0.25)
    expected = {"classification": 0.75}  # both classes become perfect
    assert {k: costs[k] for k in ERROR_TYPES} == pytest.approx({**dict.fromkeys(ERROR_TYPES, 0.0), **expected})


@pytest.mark.parametrize(
    ("kind", "false_alarm"),
    [
        ("background", (1, (150.0, 0.0, 20.0, 20.0), 0.9)),
        ("both", (1, (100.0, 100.0, 40.0, 12.0), 0.9)),  # IoU 0.3 with an object of the other class
        ("duplicate", (1, (0.0, 0.0, 40.0, 39.0), 0.8)),
        ("localisation", (1, (0.0, 0.0, 40.0, 20.0), 0.8)),  # IoU 0.5 itself is still off its place
    ],
)
def test_kinds_that_can_only_be_removed(kind: str, false_alarm: Any) -> None:
    """Two objects of class a; the false alarm stands before one of them, whose precision falls to 2/3 or 1/2."""
    objects = truth((1, A), (1, (50.0, 50.0, 40.0, 40.0)), (2, FAR))
    right = [(1, A, 0.85), (1, (50.0, 50.0, 40.0, 40.0), 0.7), B_RIGHT]
    costs = error_types(objects, found(false_alarm, *right))
    class_a = (
        (51 + 50 * 2 / 3) / 101 if kind in ("duplicate", "localisation") else 2 / 3
    )  # the envelope lifts the first 1/2 to 2/3
    assert costs["AP50"] == pytest.approx((class_a + 1) / 2)
    expected = {kind: 1 - (class_a + 1) / 2}
    assert {k: costs[k] for k in ERROR_TYPES} == pytest.approx({**dict.fromkeys(ERROR_TYPES, 0.0), **expected})


def test_only_the_best_try_is_repaired_and_an_object_is_missed_once() -> None:
    tries = found((1, (0.0, 0.0, 40.0, 16.0), 0.9), (1, (0.0, 0.0, 40.0, 12.0), 0.8), B_RIGHT)
    costs = error_types(truth(*TWO_CLASSES), tries)
    assert costs["localisation"] == pytest.approx(0.5) and costs["missed"] == 0


def test_a_class_of_missed_objects_and_false_alarms_gains_nothing() -> None:
    """With its object no longer asked for, class a is left with a false alarm: AP 0, as before."""
    costs = error_types(truth(*TWO_CLASSES), found((1, (150.0, 0.0, 20.0, 20.0), 0.9), B_RIGHT))
    assert costs["AP50"] == pytest.approx(0.5) and costs["missed"] == 0 and costs["background"] == 0


def test_crowds_are_no_objects() -> None:
    objects = truth((1, A), (2, FAR), crowd=(150.0, 0.0, 50.0, 50.0))
    inside = (1, (160.0, 10.0, 20.0, 20.0), 0.95)
    costs = error_types(objects, found(inside, (1, A, 0.9), B_RIGHT))
    assert costs == pytest.approx({"AP50": 1.0, **dict.fromkeys(ERROR_TYPES, 0.0)})


def test_nothing_found_and_nothing_to_find() -> None:
    assert error_types(truth((1, A)), []) == {"AP50": 0.0, **dict.fromkeys(ERROR_TYPES, 0.0)}
    empty = {**truth((1, A)), "annotations": []}
    assert error_types(empty, found((1, A, 0.9))) == {}


def random_set(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Objects of three classes with crowds; predictions moved, renamed, doubled and invented."""
    random = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image in range(1, 13):
        for number in range(int(random.integers(0, 7))):
            box, category = random.uniform(5, 120, 4), int(random.integers(1, 4))
            crowd = int(number > 0 and random.random() < 0.1)
            shared = {"image_id": image, "category_id": category}
            annotations.append({**shared, "bbox": box.tolist(), "area": float(box[2] * box[3]), "iscrowd": crowd})
            for _ in range(random.integers(0, 3)):
                moved = box * random.normal(1, 0.15, 4)
                name = category if random.random() < 0.8 else int(random.integers(1, 4))
                shared = {"image_id": image, "category_id": name}
                predictions.append({**shared, "bbox": moved.tolist(), "score": float(random.random())})
        invented = {"image_id": image, "category_id": int(random.integers(1, 4))}
        predictions.append({**invented, "bbox": random.uniform(5, 150, 4).tolist(), "score": float(random.random())})
    numbered = [{**item, "id": number} for number, item in enumerate(annotations, start=1)]
    categories = [{"id": number, "name": str(number)} for number in (1, 2, 3)]
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 300, "height": 300} for number in range(1, 13)]
    return {"images": images, "categories": categories, "annotations": numbered}, predictions


TIDECV = {
    0: [0.2555942782, 0.0238670426, 0.1207570544, 0.0339275312, 0.0058487892, 0.0405116619, 0.1406898966],
    1: [0.1911928184, 0.0194501593, 0.3697666109, 0.0189603398, 0.0136833103, 0.0235000795, 0.0593805421],
}


@pytest.mark.parametrize("seed", TIDECV)
def test_equals_tidecv(seed: int) -> None:
    """tidecv 1.0.1's own numbers (`TIDE().evaluate(...)`, `fix_main_errors()`) on these sets."""
    objects, predictions = random_set(seed)
    costs = error_types(objects, predictions)
    assert [costs[kind] for kind in ("AP50", *ERROR_TYPES)] == pytest.approx(TIDECV[seed], abs=1e-9)
    (coco,) = CocoImages.of(objects, predictions).scores(np.ones((1, 12), int))["AP50"]
    assert costs["AP50"] == pytest.approx(coco, abs=1e-3)  # another rule for crowds
