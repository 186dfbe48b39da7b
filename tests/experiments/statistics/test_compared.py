"""Which seeds and which samples a difference is made of."""

import numpy as np
import pytest

from experiments.statistics.compared import NO_FILE, CellKey, Sampled, Statistics
from experiments.statistics.interval import Interval, interval, seed_spread

BASE = {0: 0.50, 1: 0.51, 2: 0.53, 3: 0.90}
MODEL = {1: 0.54, 2: 0.57, 3: 0.99, 4: 0.10}
VALUES: dict[CellKey, dict[str, float]] = {
    **{("base", seed): {"AP": value} for seed, value in BASE.items()},
    **{("model", seed): {"AP": value} for seed, value in MODEL.items()},
}


def sampled(cell: CellKey) -> Sampled:
    rng = np.random.default_rng([cell[1], len(cell[0])])
    return Sampled({"AP": VALUES[cell]["AP"] + rng.normal(0, 0.01, 100)}, 50)


def test_a_difference_is_that_of_the_shared_seeds() -> None:
    """Seed 0 is the baseline's alone, seed 4, far off, the model's."""
    found = Statistics(VALUES, sampled).difference("model", "base", "AP")
    own = np.array([MODEL[seed] - BASE[seed] for seed in (1, 2, 3)])
    columns = [sampled(("model", s)).metrics["AP"] - sampled(("base", s)).metrics["AP"] for s in (1, 2, 3)]
    shared = seed_spread(np.array([[BASE[s] for s in (1, 2, 3)], [MODEL[s] for s in (1, 2, 3)]]))
    assert found == interval(own, np.stack(columns, axis=1), 50, shared)
    assert isinstance(found, Interval) and found.value == pytest.approx(own.mean())


def test_an_interval_of_one_model_is_that_of_all_its_seeds() -> None:
    found = Statistics(VALUES, sampled).interval("model", "AP")
    assert isinstance(found, Interval) and found.value == pytest.approx(np.mean(list(MODEL.values())))


def test_reasons_why_there_is_none() -> None:
    few = {cell: value for cell, value in VALUES.items() if cell != ("model", 3)}
    statistics = Statistics(few, sampled)
    assert statistics.difference("model", "base", "AP") == "2 shared seeds, 3 needed"
    assert statistics.difference("model", "absent", "AP") == "0 shared seeds, 3 needed"
    one = Statistics({("model", 1): {"AP": 0.5}}, sampled)
    assert one.interval("model", "AP") == "1 seed, 3 needed" and one.interval("model", "F1") == "0 seeds, 3 needed"
    for lost in ("base", "model"):
        without = Statistics(VALUES, lambda cell, lost=lost: None if cell[0] == lost else sampled(cell))  # type: ignore[misc]
        assert without.difference("model", "base", "AP") == NO_FILE


def test_the_spread_of_seeds_is_that_of_all_models_with_enough_of_them() -> None:
    """A third model with two seeds does not take the shared seeds away."""
    third = {("third", seed): {"AP": 0.5} for seed in (8, 9)}
    alone = Statistics(VALUES, sampled).difference("model", "base", "AP")
    assert Statistics({**VALUES, **third}, sampled).difference("model", "base", "AP") == alone


def test_one_shared_seed_of_all_models_gives_no_spread() -> None:
    """p is then that of the pair's own seeds."""
    third = {("third", seed): {"AP": 0.5 + seed / 10} for seed in (3, 8, 9)}
    found = Statistics({**VALUES, **third}, sampled).difference("model", "base", "AP")
    assert isinstance(found, Interval) and found.error_freedom == found.freedom
