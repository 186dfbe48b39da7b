"""Several data sets in one number, by hand and where the truth is known."""

import numpy as np
import pytest

from experiments.statistics.aggregate import Runs, aggregate


def runs(model: list[float], baseline: list[float], samples: int = 50) -> Runs:
    mine, theirs = np.array(model), np.array(baseline)
    return Runs(mine, theirs, np.tile(mine, (samples, 1)), np.tile(theirs, (samples, 1)))


def test_by_hand() -> None:
    """Relative changes -.5, .1, .1 (first set) and .2, .2, .9: without the quarter at each end .1, .1, .2, .2."""
    first = runs([0.2, 0.44, 0.44], [0.4, 0.4, 0.4])
    second = runs([0.6, 0.6, 0.95], [0.5, 0.5, 0.5])
    found = aggregate([first, second])
    assert found.datasets == 2 and found.change == pytest.approx(0.15)
    assert found.improvement == pytest.approx((2 / 3 + 1) / 2)
    assert found.change_ends[0] < 0.15 < found.change_ends[1] and found.improvement_ends[1] == 1
    assert aggregate([first, second]) == found != aggregate([first, second], seed=1)


def test_ties_count_half_and_undefined_samples_nothing() -> None:
    same = runs([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    same.model_sampled[0] = np.nan
    found = aggregate([same, same])
    assert (found.change, found.improvement, found.change_ends, found.improvement_ends) == (0, 0.5, (0, 0), (0.5, 0.5))


def test_a_true_gain_is_found_and_no_gain_is_not() -> None:
    rng = np.random.default_rng(0)

    def drawn(gain: float) -> Runs:
        base, mine = rng.normal(0.5, 0.01, 5), rng.normal(0.5 * (1 + gain), 0.01, 5)
        images = rng.normal(0, 0.01, (200, 1))
        return Runs(mine, base, mine + images, base + images)

    better = aggregate([drawn(0.1) for _ in range(4)])
    assert better.change_ends[0] > 0.05 and better.improvement_ends[0] > 0.9
    none = aggregate([drawn(0.0) for _ in range(4)])
    assert none.change_ends[0] < 0 < none.change_ends[1] and none.improvement_ends[0] < 0.5 < none.improvement_ends[1]


def test_ends_are_those_of_the_middle_95_of_100_samples() -> None:
    """Each sample changes all runs alike, by 0 to 100 %."""
    one, changed = np.ones(3), 1 + np.linspace(0, 1, 1001)[:, None] * np.ones(3)
    found = aggregate([Runs(one, one, changed, np.ones((1001, 3)))] * 2)
    assert found.change_ends == pytest.approx((0.025, 0.975)) and found.change == 0
