"""Hand-counted masks, the empty cases, and torchmetrics as an independent library."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
    multiclass_jaccard_index,
)

from segplug.metrics import Counts, MetricSum, f1, iou_crack, miou, precision, recall
from segplug.metrics.curve import histogram

TRUTH = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
FOUND = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
# By hand: TP 3, FP 2, FN 1, TN 10.


def test_hand_counted() -> None:
    total = MetricSum()
    counts = total.add(FOUND.astype(float), TRUTH)
    assert counts == Counts(tp=3, fp=2, fn=1, tn=10)
    assert iou_crack(counts) == 3 / 6
    assert miou(counts) == (3 / 6 + 10 / 13) / 2
    assert f1(counts) == 6 / 9
    assert precision(counts) == 3 / 5
    assert recall(counts) == 3 / 4


def test_pooled_is_not_the_mean_of_images() -> None:
    total = MetricSum()
    total.add(FOUND.astype(float), TRUTH)  # IoU 3/6
    total.add(np.ones((4, 4)), np.ones((4, 4), dtype=int))  # IoU 16/16
    scores = total.scores()
    assert scores["iou_crack"] == 19 / 22
    assert scores["iou_per_image"] == (3 / 6 + 1) / 2


def test_empty_image_and_empty_prediction_count_as_one_and_add_nothing() -> None:
    total = MetricSum()
    total.add(np.zeros((4, 4)), np.zeros((4, 4), dtype=int))
    assert all(total.scores()[k] == 1 for k in ("iou_crack", "miou", "f1", "precision", "recall", "iou_per_image"))
    total.add(FOUND.astype(float), TRUTH)
    scores = total.scores()
    assert scores["iou_crack"] == 3 / 6
    assert scores["iou_per_image"] == (1 + 3 / 6) / 2
    assert scores["ois_f1"] == 6 / 9


def test_one_side_empty_scores_zero() -> None:
    missed, false_alarm = Counts(fn=4, tn=12), Counts(fp=4, tn=12)
    for counts in (missed, false_alarm):
        assert iou_crack(counts) == f1(counts) == precision(counts) == recall(counts) == 0


def test_ods_takes_one_threshold_and_ois_each_images_own() -> None:
    total = MetricSum()
    truth = np.array([[1, 1, 0, 0]])
    total.add(np.array([[0.905, 0.805, 0.705, 0.105]]), truth)  # perfect above .705
    total.add(np.array([[0.305, 0.305, 0.205, 0.105]]), truth)  # perfect above .205
    scores = total.scores()
    assert scores["ois_f1"] == 1
    # The best single threshold lies in (.205, .305]: 4 hits and the first image's third pixel.
    assert scores["ods_f1"] == 8 / 9
    assert scores["ods_iou"] == 4 / 5
    assert 0.205 < scores["ods_threshold"] <= 0.305


def test_the_threshold_itself_counts_as_crack() -> None:
    assert MetricSum().add(np.array([[0.5, 0.499]]), np.array([[1, 0]])) == Counts(tp=1, tn=1)


@pytest.mark.parametrize("seed", range(3))
def test_torchmetrics_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    total = MetricSum()
    images = [(rng.random((9, 13)).astype(np.float32), rng.integers(0, 2, (9, 13))) for _ in range(4)]
    for probability, mask in images:
        total.add(probability, mask)
    p = torch.from_numpy(np.stack([i[0] for i in images]))
    t = torch.from_numpy(np.stack([i[1] for i in images]))
    hard = (p >= 0.5).int()
    expected = {
        "iou_crack": binary_jaccard_index(hard, t),
        "miou": multiclass_jaccard_index(hard, t, num_classes=2, average="macro"),
        "f1": binary_f1_score(hard, t),
        "precision": binary_precision(hard, t),
        "recall": binary_recall(hard, t),
        "iou_per_image": torch.stack([binary_jaccard_index(a, b) for a, b in zip(hard, t, strict=True)]).mean(),
        "ods_f1": max(binary_f1_score((p >= k / 100).int(), t) for k in range(1, 100)),
    }
    scores = total.scores()
    assert {k: scores[k] for k in expected} == pytest.approx({k: v.item() for k, v in expected.items()}, abs=1e-6)


def test_bad_input_is_refused() -> None:
    total = MetricSum()
    with pytest.raises(ValueError, match="no image was added"):
        total.scores()
    with pytest.raises(ValueError, match="differ in shape"):
        total.add(np.zeros((2, 2)), np.zeros((2, 3), dtype=int))
    with pytest.raises(ValueError, match="NaN"):
        total.add(np.full((2, 2), np.nan), np.zeros((2, 2), dtype=int))
    with pytest.raises(ValueError, match="threshold"):
        MetricSum(1.0)


def test_two_processes_sums_are_the_sum_over_all_images() -> None:
    rng = np.random.default_rng(3)
    images = [(rng.random((6, 9)), rng.random((6, 9)) < 0.3) for _ in range(5)]
    whole, first, second = MetricSum(), MetricSum(), MetricSum()
    for k, image in enumerate(images):
        whole.add(*image)
        (first if k % 2 else second).add(*image)
    first += second
    assert first.images == 5 and first.counts == whole.counts
    assert first.scores() == pytest.approx(whole.scores(), abs=1e-12)
    with pytest.raises(ValueError, match=r"thresholds differ: 0\.5 and 0\.4"):
        first += MetricSum(0.4)


def test_a_float32_just_below_a_threshold_stays_below_it() -> None:
    below = np.nextafter(np.arange(1, 100, dtype=np.float32) / np.float32(100), np.float32(0))
    below = below[below.astype(np.float64) < np.arange(1, 100) / 100]
    rounded_up = below[np.floor(below * np.float32(10_000)) / 10_000 > below]
    assert len(rounded_up) > 0  # such values exist: their float32 product is the threshold's own
    for value in rounded_up:
        crack = np.flatnonzero(histogram(np.array([value]), np.array([True]))[1])
        assert crack / 10_000 <= float(value)


@pytest.mark.parametrize(("probability", "ap"), [(0.5, 0.0), (np.nextafter(0.5, 0), 1.0)])
def test_without_a_label_ap_asks_whether_anything_reaches_one_half(probability: float, ap: float) -> None:
    total = MetricSum()
    total.add(np.array([[probability, 0.1]]), np.zeros((1, 2), dtype=bool))
    assert total.scores()["ap"] == ap
