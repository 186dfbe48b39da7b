"""Intervals over images and seeds, and how often they are right."""

import numpy as np
import pytest
from scipy import stats

from experiments.statistics.coverage import CROPS, SCENARIOS, coverage, line
from experiments.statistics.false_claims import NullTable, false_claims
from experiments.statistics.interval import Interval, effective_number, image_samples, interval, seed_spread


def test_without_images_it_is_the_t_interval_of_the_seeds() -> None:
    values = np.array([0.03, 0.01, 0.05])
    found = interval(values, np.tile(values, (50, 1)), 100)
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert isinstance(found, Interval) and (found.low, found.high) == pytest.approx(expected)
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_with_equal_seeds_it_is_the_t_interval_of_the_images() -> None:
    """The mean over images, resampled: its bootstrap variance is the sample variance over n."""
    images = np.random.default_rng(0).normal(0.02, 0.1, 100)
    resampled = np.repeat((image_samples(np.arange(100), samples=20_000) @ images / 100)[:, None], 3, axis=1)
    found = interval(np.full(3, images.mean()), resampled, 100)
    expected = stats.t.interval(0.95, 99, images.mean(), images.std() / 10)
    assert isinstance(found, Interval) and (found.low, found.high) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("shift", np.linspace(-0.05, 0.05, 9))
def test_p_is_below_005_exactly_where_the_interval_leaves_out_0(shift: float) -> None:
    rng = np.random.default_rng(1)
    found = interval(shift + rng.normal(0, 0.01, 3), shift + rng.normal(0, 0.01, (200, 3)), 50)
    assert isinstance(found, Interval) and (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_with_two_models_their_spread_is_that_of_their_differences() -> None:
    values = np.random.default_rng(2).normal(0, 1, (2, 4))
    spread = seed_spread(values)
    assert spread.freedom == 3 and 2 * spread.variance == pytest.approx(np.var(values[1] - values[0], ddof=1))


def test_the_spread_of_more_models_is_the_residual_of_a_two_way_analysis_of_variance() -> None:
    """Three models, three seeds, by hand: additive values plus one cell that is off by .9."""
    values = np.array([[1.0], [2.0], [4.0]]) + np.array([0.1, 0.2, 0.4]) + np.diag([0.9, 0, 0])
    spread = seed_spread(values)
    assert spread.freedom == 4 and spread.variance == pytest.approx(0.9**2 * (2 / 3) ** 2 / 4)


def test_seeds_that_agree_by_luck_shorten_the_interval_but_not_p() -> None:
    values = np.array([0.0300, 0.0301, 0.0299])
    spread = seed_spread(np.random.default_rng(3).normal(0, 0.02, (7, 3)))
    alone, among = (interval(values, np.tile(values, (50, 1)), 100, known) for known in (None, spread))
    assert isinstance(alone, Interval) and isinstance(among, Interval)
    assert (among.low, among.high) == (alone.low, alone.high) and alone.p < 0.001 and among.p > 0.05
    expected = 2 * stats.t.sf(values.mean() / (2 * spread.variance / 3) ** 0.5, 12)
    assert among.p == pytest.approx(expected)


def test_tables_without_a_difference_claim_one_in_at_most_5_of_100() -> None:
    """With each pair's own seeds alone, three seeds and Holm's correction claim one in more than 5."""
    shares = false_claims(NullTable(6, 3, 0.5, 1, 1), 200)
    assert shares["ours"] <= 0.05 < shares["own seeds"]


def test_no_interval() -> None:
    values = np.array([0.1, 0.2, 0.3])
    assert interval(values[:1], np.zeros((9, 1)), 5) == "1 seed, 3 needed"
    rare = np.where(np.arange(10)[:, None] < 8, values, np.nan)
    assert interval(values, rare, 5) == "undefined in 20% of the samples of images"
    nothing = interval(np.zeros(3), np.zeros((9, 3)), 5)
    assert isinstance(nothing, Interval) and (nothing.value, nothing.low, nothing.high, nothing.p) == (0, 0, 0, 1)


def test_photos_are_drawn_with_all_of_their_images_and_always_the_same() -> None:
    photos = np.array([7, 7, 3, 7, 5])
    samples = image_samples(photos)
    assert np.array_equal(samples[:, 0], samples[:, 1]) and np.array_equal(samples[:, 0], samples[:, 3])
    assert (samples[:, [0, 2, 4]].sum(axis=1) == 3).all() and samples.max() == 3
    assert np.array_equal(samples, image_samples(photos))
    assert samples[:, [0, 2, 4]].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.1)


def test_how_many_photos_of_equal_size_tell_as_much() -> None:
    assert effective_number(np.arange(87)) == 87
    assert effective_number(np.repeat(np.arange(10), 4)) == 10
    assert effective_number(np.array([0, 0, 0, 1])) == pytest.approx(16 / 10)


def test_crops_of_one_photo_taken_for_images_of_their_own_make_intervals_too_short() -> None:
    """The same images whose crops agree: with photos drawn the interval is about sqrt(4) times as long."""
    photo = np.random.default_rng(0).normal(0.02, 0.1, 60)
    values = np.repeat(photo, 4)
    halves = []
    for photos in (np.arange(240), np.repeat(np.arange(60), 4)):
        samples = image_samples(photos, samples=4000)
        found = interval(
            np.full(3, values.mean()), np.repeat((samples @ values / 240)[:, None], 3, axis=1), effective_number(photos)
        )
        assert isinstance(found, Interval)
        halves.append(found.high - found.low)
    assert halves[1] / halves[0] == pytest.approx(2, rel=0.05)


def test_the_simulated_crops_are_deepcracks() -> None:
    assert (sum(CROPS), len(CROPS), max(CROPS)) == (237, 60, 23)


@pytest.mark.parametrize(
    "name", ["effects 0.2, 1, 1; 3 seeds", "effects 0, 1, 0.3; 3 seeds", "photos 0.05, 1, 0.5, 0.3; 3 seeds"]
)
def test_coverage(name: str) -> None:
    """Nominal 95 %; with 1000 runs one standard deviation of what is seen is 0.7 %."""
    assert 0.93 <= coverage(SCENARIOS[name], 1000, seed=1)["ours"] <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_coverage_everywhere(name: str) -> None:
    assert 0.93 <= line(name)["ours"] <= 0.97


def test_equal_values_of_all_seeds_and_images_have_an_interval_of_no_width() -> None:
    found = interval(np.full(3, 0.5), np.full((50, 3), 0.5), 10)
    assert found == Interval(0.5, 0.5, 0.5, 2.0, 0.0, 2.0)
