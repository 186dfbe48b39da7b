"""A set of images scored from what each of them contributes, however often it occurs."""

from pathlib import Path

import numpy as np
import pytest

from segplug.errors import SegplugError
from segplug.metrics import DEFINITIONS, AllMetrics, Contributions


def add(total: AllMetrics, seed: int) -> None:
    """A noisy prediction of a line; image 2 has neither crack nor prediction."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((24, 30 + seed), dtype=np.uint8)
    truth[5 + seed : 8 + seed, 3:] = seed != 2
    probability = np.clip(rng.normal(0.25 + 0.4 * truth, 0.15), 0, 1) * (seed != 2)
    saved = (probability * 255).astype(np.uint8)
    total.add(f"image{seed}", probability.astype(np.float32), truth, saved, truth.astype(bool))


@pytest.mark.parametrize("times", [[1, 1, 1, 1], [2, 0, 1, 3], [0, 0, 1, 0], [1, 0, 0, 1]])
def test_equal_to_a_set_that_holds_the_images_so_often(times: list[int]) -> None:
    every, chosen = AllMetrics(0.4), AllMetrics(0.4)
    for seed, count in enumerate(times):
        add(every, seed)
        for _ in range(count):
            add(chosen, seed)
    scores = every.contributions().scores(np.array(times))
    assert list(scores) == list(DEFINITIONS)
    assert scores == pytest.approx(chosen.scores(), rel=1e-12)


def test_many_sets_and_images_at_once() -> None:
    """More of both than are worked on together."""
    total = AllMetrics()
    for _ in range(65):
        add(total, 0)
        add(total, 1)
    every = total.contributions()
    sets = np.random.default_rng(0).multinomial(130, np.full(130, 1 / 130), size=130)
    answers = every.scores_of_sets(sets)
    for k in (0, 64, 129):
        sample = AllMetrics()
        for seed, count in enumerate((sets[k, ::2].sum(), sets[k, 1::2].sum())):
            for _ in range(count):
                add(sample, seed)
        assert answers[k] == pytest.approx(sample.scores(), rel=1e-12)


def test_file_holds_everything_and_little(tmp_path: Path) -> None:
    total = AllMetrics()
    for seed in range(4):
        add(total, seed)
    total.contributions().save(tmp_path / "per_image.npz")
    read = Contributions.load(tmp_path / "per_image.npz")
    assert read.scores() == total.scores() and list(read.names) == [f"image{seed}" for seed in range(4)]
    assert (tmp_path / "per_image.npz").stat().st_size < 30_000


def test_refusals(tmp_path: Path) -> None:
    total = AllMetrics()
    with pytest.raises(ValueError, match="no image was added"):
        total.scores()
    with pytest.raises(ValueError, match="threshold must lie between 0 and 1"):
        AllMetrics(1.0)
    add(total, 0)
    for wrong in ([1, 1], [[1]], [-1], [0]):
        with pytest.raises(ValueError, match="multiplicity must hold"):
            total.contributions().scores(np.array(wrong))
    (tmp_path / "a.npz").write_text("no archive")
    np.savez(tmp_path / "b.npz", names=np.array(["a"]))
    for name in ("a.npz", "b.npz", "c.npz"):
        with pytest.raises(SegplugError, match=rf"{name}: no per-image file of segplug"):
            Contributions.load(tmp_path / name)
