"""Wrong pixels by kind, counted by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.metrics.crack_errors import CRACK_ERRORS, EDGE_PX, CrackErrors
from experiments.tasks import TASKS


def test_the_report_names_the_distance() -> None:
    assert f"within {EDGE_PX} px of the other mask" in TASKS["segment"].errors[2]


def line(*columns: int) -> NDArray[np.bool_]:
    """(10, 40) with these columns set: a vertical crack of 10 px a column."""
    mask = np.zeros((10, 40), dtype=bool)
    mask[:, list(columns)] = True
    return mask


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([5], [5], (0, 0, 0, 0)),
        ([4, 5, 7], [5], (2, 0, 0, 0)),  # 1 and 2 px beside it
        ([5, 8], [5], (0, 0, 1, 0)),  # 3 px beside it
        ([5], [4, 5, 7], (0, 2, 0, 0)),
        ([5], [5, 30], (0, 0, 0, 1)),
        ([6], [5], (1, 1, 0, 0)),
        ([], [5], (0, 0, 0, 1)),
        ([5], [], (0, 0, 1, 0)),
    ],
)
def test_counted_by_hand(found: list[int], truth: list[int], expected: tuple[int, ...]) -> None:
    errors = CrackErrors()
    errors.add(line(*found), line(*truth))
    union = len({*found, *truth})
    shares = errors.shares()
    assert [shares[kind] * union for kind in CRACK_ERRORS] == pytest.approx(list(expected))
    iou = len({*found} & {*truth}) / union
    assert sum(shares.values()) + iou == pytest.approx(1)


def test_pixels_are_summed_over_images() -> None:
    errors = CrackErrors()
    errors.add(line(5), line(5, 30))
    errors.add(line(5, 20), line(5))
    errors.add(line(), line())
    assert errors.shares() == pytest.approx({"too_wide": 0, "too_thin": 0, "false_alarm": 0.25, "missed": 0.25})


def test_nothing_at_all() -> None:
    errors = CrackErrors()
    errors.add(line(), line())
    assert errors.shares() == {}
