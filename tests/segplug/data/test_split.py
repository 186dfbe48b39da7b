"""Validation from train: reproducible, and no photograph on both sides."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.split import split_train_val, train_val_samples
from segplug.errors import SegplugError

DEEPCRACK = r"(.+?)(?:-\d+)?$"


def named(*names: str) -> list[Sample]:
    return [Sample(name, Path(name), Path(name)) for name in names]


def test_the_seed_decides_and_nothing_is_lost() -> None:
    samples = named(*(f"p{i:02}" for i in range(20)))
    train, val = split_train_val(samples, 0.2, seed=3)
    assert len(val) == 4 and sorted([*train, *val], key=lambda p: p.name) == samples
    assert split_train_val(samples, 0.2, seed=3) == (train, val)
    assert split_train_val(samples, 0.2, seed=4) != (train, val)


@pytest.mark.parametrize("seed", range(8))
def test_crops_of_one_photo_stay_together(seed: int) -> None:
    samples = named("11116", "11116-1", "11116-2", *(f"IMG_{i}-{j}" for i in range(6) for j in range(4)))
    train, val = split_train_val(samples, 0.2, seed, DEEPCRACK)
    source = {p.name.split("-")[0] for p in val}
    assert val and source.isdisjoint({p.name.split("-")[0] for p in train})


@pytest.mark.parametrize("fraction", [0, 1, -0.5])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(SegplugError, match="val_split must lie between"):
        split_train_val(named("a", "b"), fraction, 0)


def test_one_source_alone_cannot_be_split() -> None:
    with pytest.raises(SegplugError, match="from 1 sources"):
        split_train_val(named("a-1", "a-2", "a-3"), 0.3, 0, DEEPCRACK)


def test_a_broken_rule_is_refused() -> None:
    with pytest.raises(SegplugError, match="no regular expression"):
        split_train_val(named("a", "b"), 0.5, 0, "(")


@pytest.mark.parametrize("seed", range(4))
def test_named_groups_keep_photos_together(seed: int) -> None:
    samples = [replace(sample, group=f"road{i % 5}") for i, sample in enumerate(named(*(f"{i:02}" for i in range(20))))]
    train, val = split_train_val(samples, 0.2, seed, source_rule="..")
    assert {p.group for p in val}.isdisjoint({p.group for p in train}) and len(val) == 4


def test_a_grouping_file_decides_what_is_held_out(cracks: Path, tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    names = [f"photo{i // 2}-{i % 2}" for i in range(8)]
    file.write_text(
        "image,group\n" + "".join(f"{name}.png,{'ab'[i % 2]}\n" for i, name in enumerate(names)) + "a,x\nb,x\n"
    )
    train, val = train_val_samples(DataSource(str(cracks), groups=str(file)), 0.5, 0)
    assert len({p.name[-1] for p in val}) == 1 and len({p.name[-1] for p in train}) == 1


def test_a_data_folders_own_val_split_comes_first(cracks: Path, add_crack: Callable[..., None]) -> None:
    train, val = train_val_samples(cracks, 0.25, 0)
    assert len(train) == 6 and len(val) == 2 and train_val_samples(cracks, 0, 0)[1] == []
    add_crack(cracks / "val", "v", 30)
    train, val = train_val_samples(cracks, 0.25, 0)
    assert len(train) == 8 and [p.name for p in val] == ["v"]
