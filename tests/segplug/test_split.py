"""Validation from train: reproducible, and no photograph on both sides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segplug.data import Pair
from segplug.errors import SegplugError
from segplug.split import read_groups, split_train_val, train_val_pairs

DEEPCRACK = r"(.+?)(?:-\d+)?$"


def named(*names: str) -> list[Pair]:
    return [Pair(name, Path(name), Path(name)) for name in names]


def test_the_seed_decides_and_nothing_is_lost() -> None:
    pairs = named(*(f"p{i:02}" for i in range(20)))
    train, val = split_train_val(pairs, 0.2, seed=3)
    assert len(val) == 4 and sorted([*train, *val], key=lambda p: p.name) == pairs
    assert split_train_val(pairs, 0.2, seed=3) == (train, val)
    assert split_train_val(pairs, 0.2, seed=4) != (train, val)


@pytest.mark.parametrize("seed", range(8))
def test_crops_of_one_photo_stay_together(seed: int) -> None:
    pairs = named("11116", "11116-1", "11116-2", *(f"IMG_{i}-{j}" for i in range(6) for j in range(4)))
    train, val = split_train_val(pairs, 0.2, seed, DEEPCRACK)
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
def test_a_grouping_file_keeps_photos_together(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("group,image\n" + "".join(f"road{i % 5},{i:02}.jpg\n" for i in range(20)) + "x,test_a\nx,wall.2\n")
    groups = read_groups(file)
    assert groups["03"] == "road3" and groups["wall.2"] == "x"
    train, val = split_train_val(named(*(f"{i:02}" for i in range(20))), 0.2, seed, groups=groups)
    assert {int(p.name) % 5 for p in val}.isdisjoint({int(p.name) % 5 for p in train}) and len(val) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image;group\na;b\n", "needs the columns image,group; found: image;group"),
        ("", "needs the columns image,group; found: "),
        ("image,group\na\n", "line 2 lacks its image or its group"),
        ("image,group\na.png,x\na.jpg,y\n", "line 3 puts a into y and an earlier one into x"),
    ],
)
def test_a_wrong_grouping_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "groups.csv"
    file.write_text(text)
    with pytest.raises(SegplugError, match=message):
        read_groups(file)


def test_an_image_without_a_group_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="1 of 2 training images have no group, b the first"):
        split_train_val(named("a", "b"), 0.5, 0, groups={"a": "x"})
    with pytest.raises(SegplugError, match=r"none\.csv: not readable"):
        read_groups(tmp_path / "none.csv")


def test_a_data_folders_own_val_split_comes_first(cracks: Path, add_crack: Callable[..., None]) -> None:
    train, val = train_val_pairs(cracks, 0.25, 0)
    assert len(train) == 6 and len(val) == 2 and train_val_pairs(cracks, 0, 0)[1] == []
    add_crack(cracks / "val", "v", 30)
    train, val = train_val_pairs(cracks, 0.25, 0)
    assert len(train) == 8 and [p.name for p in val] == ["v"]
