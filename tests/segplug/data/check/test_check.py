"""`segplug check`: nothing to cure in sound data, and each thing that can be wrong named with its files and remedy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from segplug.cli import main
from segplug.data.check import check
from segplug.data.finding import Finding
from segplug.data.source import DataSource

RULE = r"(.+?)(?:-\d+)?$"


def paint(path: Path, seed: int, height: int = 96, width: int = 96) -> None:
    """A photograph of smooth clouds, so that its thumbnail is its own."""
    coarse = np.random.default_rng(seed).integers(40, 216, (6, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def label(path: Path, crack: slice = slice(40, 44), value: int = 255) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[crack, 10:80] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """train (p1-1, p1-2, p2-1), test (p3-1)."""
    for i, (split, name) in enumerate((("train", "p1-1"), ("train", "p1-2"), ("train", "p2-1"), ("test", "p3-1"))):
        paint(tmp_path / split / "images" / f"{name}.png", seed=i)
        label(tmp_path / split / "masks" / f"{name}.png", slice(40, 42 + 2 * i))
    return tmp_path


def kinds(root: Path, **settings: str) -> dict[str, Finding]:
    return {finding.kind: finding for finding in check(DataSource(str(root), **settings)).findings}  # type: ignore[arg-type]


def test_sound_data_has_nothing_to_cure(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(sound), "--source-rule", RULE, "--json", str(sound / "check.json")]) == 0
    shown = capsys.readouterr().out
    assert "data: folders of images and masks, 4 images (train 3, test 1)\nmasks: 0/255\n" in shown
    assert "sizes: 96x96 (4)" in shown and "nothing to cure" in shown
    found = json.loads((sound / "check.json").read_text())
    train = found["splits"]["train"]
    assert (train["images"], train["readable"], train["empty"]) == (3, 3, 0) and found["findings"] == []
    assert [train[f"crack_{k}"] for k in ("min", "median", "max")] == [n * 70 / 96**2 for n in (2, 4, 6)]


def test_the_same_photo_in_train_and_test_is_a_leak(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(sound / "train" / "images" / "p2-1.png", sound / "test" / "images" / "p3-1.png")
    assert main(["check", str(sound)]) == 1
    shown = capsys.readouterr().out
    assert "leak: same image: train/p2-1.png, test/p3-1.png: equal pixels, but different labels" in shown
    assert "cure: remove it from one of the splits" in shown
    assert "similar" not in shown


def test_the_same_photo_twice_in_a_split_is_found(sound: Path) -> None:
    shutil.copy(sound / "train" / "images" / "p2-1.png", sound / "train" / "images" / "p1-1.png")
    shutil.copy(sound / "train" / "masks" / "p2-1.png", sound / "train" / "masks" / "p1-1.png")
    finding = kinds(sound)["same image"]
    assert finding.split == "train" and finding.text == "p1-1.png, p2-1.png: equal pixels"


@pytest.mark.parametrize(
    "change",
    [
        lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR),
        lambda p: cv2.resize(cv2.resize(p, (48, 48), interpolation=cv2.INTER_AREA), (96, 96)),
        lambda p: cv2.convertScaleAbs(p, alpha=1.1, beta=5),
    ],
    ids=["jpeg", "resized", "brighter"],
)
def test_a_changed_copy_is_similar_and_others_are_not(sound: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    copy = change(cv2.imread(str(sound / "train" / "images" / "p2-1.png")))
    cv2.imwrite(str(sound / "test" / "images" / "p3-1.png"), copy)
    found = kinds(sound)
    assert list(found) == ["leak: similar image"]
    assert [Path(f).stem for f in found["leak: similar image"].files] == ["p2-1", "p3-1"]


def test_crops_of_one_source_leak_by_rule_and_by_table(sound: Path) -> None:
    for kind in ("images", "masks"):
        (sound / "test" / kind / "p3-1.png").rename(sound / "test" / kind / "p1-9.png")
    assert not kinds(sound)
    finding = kinds(sound, source_rule=RULE)["leak: same source"]
    assert finding.split == "test" and [Path(f).stem for f in finding.files] == ["p1-9"]
    assert finding.text == "1 of 1 images of test come from 1 source photos that train has too: p1-9"
    table = sound / "groups.csv"
    table.write_text("image,group\np1-1,a\np1-2,b\np2-1,c\np1-9,b\n")
    assert [Path(f).stem for f in kinds(sound, groups=str(table))["leak: same source"].files] == ["p1-9"]


def test_broken_files_and_lonely_ones_are_all_listed_at_once(sound: Path) -> None:
    (sound / "train" / "images" / "p1-1.png").write_bytes(b"no picture")
    (sound / "train" / "masks" / "p1-2.png").unlink()
    (sound / "train" / "images" / "p2-1.png").unlink()
    cv2.imwrite(str(sound / "test" / "masks" / "p3-1.png"), np.zeros((10, 96), dtype=np.uint8))
    result = check(DataSource(str(sound)))
    found = [(f.kind, f.split, Path(f.files[0]).name) for f in result.findings if f.kind != "no crack"]
    assert sorted(found) == [
        ("no image", "train", "p2-1.png"),
        ("unlabelled", "train", "p1-2.png"),
        ("unreadable", "test", "p3-1.png"),
        ("unreadable", "train", "p1-1.png"),
    ]
    text = result.text()
    assert "p1-1.png: not a readable image (10 bytes)\n  cure: restore or remove the file" in text
    assert "p3-1.png: mask is 96x10 but p3-1.png is 96x96\n  cure: resize or redo the mask" in text


def test_mask_values_that_do_not_agree_are_a_finding(sound: Path) -> None:
    label(sound / "train" / "masks" / "p1-1.png", value=1)
    result = check(DataSource(str(sound)))
    assert [f.kind for f in result.findings] == ["mask values"]
    assert "p1-1.png: mask values 0 and 1, but" in result.text() and "masks: undecided, see below" in result.text()


def test_suspicious_labels_are_found(sound: Path) -> None:
    label(sound / "train" / "masks" / "p1-1.png", slice(0, 96))
    whole = np.full((96, 96), 255, dtype=np.uint8)
    cv2.imwrite(str(sound / "train" / "masks" / "p1-2.png"), whole)
    specks = np.zeros((96, 96), dtype=np.uint8)
    specks[::8, ::8] = 255
    cv2.imwrite(str(sound / "train" / "masks" / "p2-1.png"), specks)
    found = kinds(sound, mask_values="0/255")
    assert list(found) == ["all crack", "mostly crack", "specks"]
    assert [Path(f.files[0]).stem for f in found.values()] == ["p1-2", "p1-1", "p2-1"]
    assert found["specks"].text.startswith("144 of 147 crack pieces are single pixels")


def test_no_crack_at_all_is_a_finding(sound: Path) -> None:
    for file in sound.rglob("masks/*.png"):
        label(file, slice(0, 0))
    assert list(kinds(sound)) == ["no crack"]


def test_no_data_is_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"segplug check: {tmp_path}: found none of")


def test_unreadable_masks_are_not_called_outlines(sound: Path) -> None:
    for file in sound.rglob("masks/*.png"):
        file.write_bytes(b"no picture")
    result = check(DataSource(str(sound)))
    assert result.summary["encoding"] is None and "masks: undecided, see below" in result.text()
