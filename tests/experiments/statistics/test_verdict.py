"""Verdicts by hand: each word, its reason, and the difference that would have been found."""

import numpy as np
import pytest
from scipy import stats

from experiments.statistics.compared import Sampled, Statistics
from experiments.statistics.interval import Interval
from experiments.statistics.verdict import POWER, Verdict, detectable, holm, verdicts

CALM = Interval(0.0, -1.0, 1.0, 1e9, 1.0, 1e9)


def cells(noise: float = 0.002, **means: float) -> Statistics:
    """Three seeds of each model around its mean, and samples of images that move all alike."""
    rng = np.random.default_rng(0)
    values = {(x, s): {"AP": m + rng.normal(0, noise)} for x, m in means.items() for s in range(3)}
    shift = rng.normal(0, 0.01, 200)
    return Statistics(values, lambda cell: Sampled({"AP": values[cell]["AP"] + shift + rng.normal(0, noise, 200)}, 100))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


@pytest.mark.parametrize(("apart", "word"), [(0.1, "better"), (-0.1, "worse"), (0.0, "insufficient evidence")])
def test_words(apart: float, word: str) -> None:
    statistics = cells(base=0.5, model=0.5 + apart)
    verdict = verdicts(statistics, [("model", "base")], "AP")["model", "base"]
    assert verdict.word == word and verdict.resolved == (apart != 0)
    assert verdict.reason == ("" if apart else "it may be chance: 0 lies inside its interval")
    assert str(verdict).startswith(word)


def test_equivalence_takes_a_margin_that_was_named() -> None:
    statistics, pair = cells(base=0.5, model=0.5), ("model", "base")
    assert verdicts(statistics, [pair], "AP")[pair].word == "insufficient evidence"
    assert verdicts(statistics, [pair], "AP", margin=0.001)[pair].word == "insufficient evidence"
    found = verdicts(statistics, [pair], "AP", margin=0.05)[pair]
    assert (found.word, found.reason, found.resolved) == ("equivalent", "within 0.05", True)
    far = cells(base=0.5, model=0.53)
    assert verdicts(far, [pair], "AP", margin=0.05)[pair].word == "better"


def test_equivalence_is_corrected_for_the_number_of_comparisons() -> None:
    """A margin that leaves p .02 for one comparison, and .4 for the strictest of twenty."""
    statistics = cells(base=0.5, model=0.5, **{f"other{k}": 0.9 for k in range(19)})
    pair = ("model", "base")
    alone = verdicts(statistics, [pair], "AP")[pair].difference
    assert alone is not None
    margin = abs(alone.value) + alone.error * float(stats.t.ppf(0.98, alone.error_freedom))
    assert -margin < alone.low and alone.high < margin
    assert verdicts(statistics, [pair], "AP", margin=margin)[pair].word == "equivalent"
    many = [pair, *((f"other{k}", "base") for k in range(19))]
    assert verdicts(statistics, many, "AP", margin=margin)[pair].word == "insufficient evidence"


def test_a_diverged_model_is_said_and_a_diverged_baseline_too() -> None:
    statistics = cells(base=0.5, model=0.6, other=0.6)
    pairs = [("model", "base"), ("other", "base")]
    found = verdicts(statistics, pairs, "AP", {"model"})
    assert str(found["model", "base"]) == "diverged (NaN)" and found["other", "base"].word == "better"
    assert found["other", "base"].p_holm == found["other", "base"].difference.p  # type: ignore[union-attr]
    assert str(verdicts(statistics, pairs, "AP", {"base"})["model", "base"]) == "insufficient evidence (base diverged)"


def test_the_detectable_difference_is_that_of_the_z_test_where_the_error_is_known() -> None:
    assert detectable(CALM, 1) == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(POWER), rel=1e-4)
    assert detectable(CALM, 7) == pytest.approx(stats.norm.ppf(1 - 0.025 / 7) + stats.norm.ppf(POWER), rel=1e-4)


def test_a_true_difference_of_that_size_is_found_in_4_of_5_cases() -> None:
    """Two models on endless images, four seeds: t-tests with 3 degrees of freedom, drawn from the truth."""
    rng, freedom = np.random.default_rng(1), 3
    truth = detectable(Interval(0.0, 0.0, 0.0, freedom, 1.0, freedom), 1)
    errors = np.sqrt(rng.chisquare(freedom, 20_000) / freedom)
    found = np.abs(rng.normal(truth, 1, 20_000)) / errors > stats.t.ppf(0.975, freedom)
    assert found.mean() == pytest.approx(POWER, abs=0.01)


def test_few_degrees_of_freedom_of_the_interval_count_as_well() -> None:
    short = Interval(0.0, -1.0, 1.0, 2.0, 1.0, 1e9)
    assert detectable(short, 1) == pytest.approx(5.653, abs=0.001)
    assert detectable(CALM, 1) < 3


def test_why_an_interval_without_0_is_not_enough() -> None:
    """Three seeds that agree by luck among models that do not; and one small p among many."""
    rng = np.random.default_rng(3)
    values = {("base", s): {"AP": 0.5 + 0.0001 * s} for s in range(3)}
    values |= {("lucky", s): {"AP": 0.51 + 0.0001 * s + 0.00001 * s * s} for s in range(3)}
    values |= {(f"wild{k}", s): {"AP": 0.5 + rng.normal(0, 0.05)} for k in range(4) for s in range(3)}
    statistics = Statistics(values, lambda cell: Sampled({"AP": np.full(200, values[cell]["AP"])}, 100))
    pair = ("lucky", "base")
    found = verdicts(statistics, [pair], "AP")[pair]
    assert found.difference is not None and found.difference.low > 0
    assert str(found) == "insufficient evidence (it may be chance: one model trained again differs as much)"


def test_a_small_p_among_many_comparisons_is_not_enough() -> None:
    statistics = cells(noise=0.01, base=0.5, model=0.52, a=0.5, b=0.5, c=0.5, d=0.5, e=0.5)
    pairs = [(x, "base") for x in ("model", "a", "b", "c", "d", "e")]
    alone = verdicts(statistics, pairs[:1], "AP")["model", "base"]
    assert alone.word == "better" and alone.p_holm is not None and 0.05 / 6 < alone.p_holm < 0.05
    found = verdicts(statistics, pairs, "AP")["model", "base"]
    assert str(found) == "insufficient evidence (it may be chance: the largest of 6 differences is often as large)"


class Given(Statistics):
    """Differences by pair, as they are."""

    def __init__(self, **differences: Interval) -> None:
        super().__init__({}, lambda cell: None)
        self.differences = differences

    def difference(self, label: str, against: str, metric: str) -> Interval | str:
        return self.differences[label]


def around(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 1e9, (high - low) / 4, 1e9)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.5, 1.5, "better"),
        (-1.5, -0.5, "worse"),
        (0.0, 1.0, "insufficient evidence"),
        (-1.0, 0.0, "insufficient evidence"),
        (-0.2, 0.2, "equivalent"),
        (-0.3, 0.1, "insufficient evidence"),
        (-0.1, 0.3, "insufficient evidence"),
    ],
)
def test_a_verdict_says_what_it_rests_on(low: float, high: float, word: str) -> None:
    """With a margin of .3; an end that lies on 0 or on the margin is not beyond it."""
    answer = around(low, high)
    verdict = verdicts(Given(model=answer), [("model", "base")], "AP", margin=0.3)["model", "base"]
    assert verdict.word == word
    if low * high == 0:
        assert verdict.reason == "it may be chance: 0 lies inside its interval"
    assert (verdict.difference, verdict.p_holm, verdict.detectable) == (answer, answer.p, detectable(answer, 1))


def test_a_diverged_model_has_no_numbers() -> None:
    found = verdicts(Given(), [("model", "base")], "AP", {"model"})["model", "base"]
    assert found == Verdict("diverged (NaN)", "") and not found.resolved


@pytest.mark.parametrize(("apart", "word"), [(0.5, "better"), (0.1, "better"), (0.0, "equivalent")])
def test_a_difference_without_any_error(apart: float, word: str) -> None:
    """Networks that answer alike in every seed and image."""
    exact = Interval(apart, apart, apart, 2.0, 0.0, 2.0)
    assert verdicts(Given(model=exact), [("model", "base")], "AP", margin=0.3)["model", "base"].word == word
