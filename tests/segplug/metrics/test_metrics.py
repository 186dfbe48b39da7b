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
