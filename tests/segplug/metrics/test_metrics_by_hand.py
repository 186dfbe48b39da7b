"""Every mask metric of a 4x4 picture counted by hand, both masks empty, and one of them empty."""

import math
from pathlib import Path

import numpy as np
import pytest

from segplug.metrics import DEFINITIONS, AllMetrics, saved_prediction, scs_counts, scs_scores, target_in_frame

TRUTH = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
FOUND = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
# TP 2, FP 2, FN 2, TN 10. The found pixel (1, 2) is 1 px from the label, (3, 3) is 3 px. Label pixel (0, 2) is 1 px and
# (0, 3) the square root of 2 from a found one. Both masks are thin: they are their own skeletons and outlines.
EMPTY = np.zeros((4, 4), dtype=int)


def score(*samples: tuple[np.ndarray, np.ndarray], valid: np.ndarray | None = None) -> dict[str, float]:
    total = AllMetrics()
    for found, truth in samples:
        saved = (found * 255).astype(np.uint8)
        seen = np.ones(truth.shape, bool) if valid is None else valid
        total.add("x", found.astype(float), truth, saved[seen], truth.astype(bool)[seen], valid)
    return total.scores()


def test_counted_by_hand() -> None:
    scores = score((FOUND, TRUTH))
    iou_background = 10 / 14
    expected = {
        "iou_crack": 2 / 6,
        "miou": (2 / 6 + iou_background) / 2,
        "f1": 1 / 2,
        "precision": 1 / 2,
        "recall": 1 / 2,
        "iou_per_image": 2 / 6,
        "miou_per_image": (2 / 6 + iou_background) / 2,
        "ods_f1": 1 / 2,
        "ods_iou": 2 / 6,
        "ods_threshold": 0.01,
        "ois_f1": 1 / 2,
        "ap": 2 / 4 * 2 / 4 + 2 / 4 * 4 / 16,  # the found half, then every pixel
        "f1_tol1px": 3 / 4,
        "f1_tol2px": 2 * (3 / 4) * 1 / (3 / 4 + 1),
        "f1_tol5px": 1,
        "cldice": 1 / 2,
        "cldice_per_image": 1 / 2,
        "false_line_px": 2,
        "false_alarm_share": 2 / 12,
        # found to label: 0, 0, 1, 3; the 95th percentile lies .85 of the way from 1 to 3. Label to found is nearer.
        "hd95_px": 1 + 0.85 * 2,
        "hd95_px_median": 1 + 0.85 * 2,
        "one_mask_empty": 0,
        "scs_compat_ods": 1 / 2,
        "scs_compat_ois": 1 / 2,
        "scs_compat_precision": 1 / 2,
        "scs_compat_recall": 1 / 2,
        "scs_compat_f1": 1 / 2,
        "scs_compat_miou": (2 / 6 + iou_background) / 2,
    }
    assert scores == pytest.approx(expected)
    assert list(scores) == list(DEFINITIONS)


def test_both_empty_is_right_except_in_the_published_protocol() -> None:
    scores = score((EMPTY, EMPTY))
    zero = {"hd95_px", "hd95_px_median", "one_mask_empty", "false_line_px", "false_alarm_share"}
    published = {name for name in scores if name.startswith("scs_compat_")} - {"scs_compat_precision"}
    for name, value in scores.items():
        if name != "ods_threshold":
            assert value == (0 if name in zero | published else 1), name


@pytest.mark.parametrize(("found", "truth"), [(EMPTY, TRUTH), (TRUTH, EMPTY)])
def test_one_empty_is_wrong(found: np.ndarray, truth: np.ndarray) -> None:
    scores = score((found, truth))
    nonzero = {
        "miou": 12 / 16 / 2,
        "miou_per_image": 12 / 16 / 2,
        "hd95_px": math.hypot(4, 4),
        "hd95_px_median": math.hypot(4, 4),
        "one_mask_empty": 1,
        "scs_compat_miou": 12 / 16 / 2,
    }
    if truth.any():  # missed: every pixel ties at probability 0; the protocol's precision of nothing is 1
        nonzero |= {"ap": 4 / 16, "scs_compat_precision": 1}
    else:
        nonzero |= {"false_line_px": 4, "false_alarm_share": 4 / 16}
    got = {name: value for name, value in scores.items() if name != "ods_threshold" and value}
    assert got == pytest.approx(nonzero)


def test_pooled_and_per_image_means_differ() -> None:
    scores = score((FOUND, TRUTH), (EMPTY, EMPTY), (TRUTH, TRUTH))
    assert scores["iou_crack"] == 6 / 10
    assert scores["iou_per_image"] == pytest.approx((2 / 6 + 1 + 1) / 3)
    assert scores["f1_tol1px"] == 7 / 8
    assert scores["cldice"] == pytest.approx(6 / 8) and scores["cldice_per_image"] == pytest.approx((0.5 + 2) / 3)
    assert scores["false_line_px"] == pytest.approx(2 / 3) and scores["false_alarm_share"] == 2 / (12 + 16 + 12)
    assert scores["hd95_px"] == pytest.approx(2.7 / 3) and scores["hd95_px_median"] == 0


def test_pixels_without_label_count_nowhere() -> None:
    valid = np.ones((4, 4), dtype=bool)
    valid[:, 2:] = False  # hides the found pixels that are wrong and the label pixels that are missed
    scores = score((FOUND, TRUTH), valid=valid)
    assert all(value == 1 for name, value in scores.items() if name not in OTHER), scores
    other = FOUND.copy()
    other[:, 2:] = 1 - other[:, 2:]
    assert score((other, TRUTH), valid=valid) == scores


OTHER = {"false_line_px", "false_alarm_share", "ods_threshold", "hd95_px", "hd95_px_median", "one_mask_empty"}


def test_a_wide_crack_beside_its_label() -> None:
    """One column to the side: half of the pixels are wrong, within a pixel none."""
    truth = np.zeros((40, 40), dtype=int)
    truth[:, 10:13] = 1
    scores = score((np.roll(truth, 1, axis=1), truth))
    assert scores["f1"] == pytest.approx(2 / 3) and scores["f1_tol1px"] == 1
    assert scores["cldice"] == 1 and scores["hd95_px"] == 1


def test_predictions_are_saved_as_published() -> None:
    logits = np.array([[4.0, 2.0, 0.01, 0.0, -3.0]])
    assert saved_prediction(logits).tolist() == [[255, 128, 1, 0, 0]]  # 127.5 to even, .6 up
    assert saved_prediction(np.array([[-1.0, -2.0]])).tolist() == [[255, 255]]  # all negative: all white
    assert saved_prediction(np.array([[0.0, -2.0]])).tolist() == [[0, 0]]
    assert saved_prediction(np.array([[8.0, 2.0, 1.0]]), np.array([[False, True, True]])).tolist() == [[255, 255, 128]]


def test_labels_are_resized_as_published() -> None:
    truth = np.zeros((256, 1024), dtype=bool)
    truth[64:128, 512:] = True
    frame = target_in_frame(truth)
    assert frame.shape == (512, 512) and frame[128:256, 256:].all() and frame.sum() == 128 * 256


def test_published_protocol_never_looks_below_one_half() -> None:
    """Its ODS can lie under its F1: pooled counts of two images of unequal size of crack against a mean of their F1."""
    first = scs_counts(np.array([[255] * 9 + [0]], dtype=np.uint8), np.array([[True] * 9 + [False]]))
    second = scs_counts(np.array([[0] * 9 + [1]], dtype=np.uint8), np.array([[True] + [False] * 9]))
    stacked = (np.stack([getattr(image, name) for image in (first, second)]) for name in ("pooled", "f1", "miou"))
    scores = scs_scores(np.ones(2, dtype=int), *stacked)
    assert scores["scs_compat_f1"] == pytest.approx(2 * 9 / (2 * 9 + 1 + 1))
    assert scores["scs_compat_ods"] == scores["scs_compat_ois"] == 0.5


def test_the_docs_table_is_the_printed_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {definition} |\n" in page for name, definition in DEFINITIONS.items())
