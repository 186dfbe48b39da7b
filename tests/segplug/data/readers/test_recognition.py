"""Layouts are recognised, asked about when two would fit, and feed training and scoring alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.cli import main
from segplug.data.dataset import CrackDataset
from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.training.config import TrainConfig
from segplug.training.run import train


@pytest.mark.parametrize(
    ("build", "split", "line"),
    [
        ("folders", "val", "data: folders of images and masks, 2 images (train 1, val 1)"),
        ("csv_list", "train", "data: CSV list, 2 images (train 2)"),
        ("yolo_with_yaml", "train", "data: YOLO outlines, 2 images (train 2)"),
        ("yolo", "train", "data: YOLO outlines, 2 images (train 2)"),
        ("coco", "all", "data: COCO polygons, 1 images"),
        ("cfd", "all", "data: CFD .mat regions, 1 images"),
    ],
    ids=["folders", "csv", "yolo", "yolo without yaml", "coco", "cfd"],
)
def test_formats_are_recognised_stated_and_read(
    layouts: SimpleNamespace, tmp_path: Path, build: str, split: str, line: str
) -> None:
    if build == "yolo_with_yaml":
        layouts.yolo(tmp_path, {0: "crack"})
    else:
        getattr(layouts, build)(tmp_path)
    assert str(open_data(tmp_path)) == line
    assert np.array_equal(layouts.mask_of(tmp_path, split), layouts.truth)


def test_two_formats_in_one_folder_are_asked_about(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.coco(tmp_path)
    layouts.picture(tmp_path / "masks" / "a.png", layouts.truth)
    with pytest.raises(SegplugError, match="could be folders or coco; say which, as --data-format folders"):
        open_data(tmp_path)
    for name in ("folders", "coco"):
        assert np.array_equal(layouts.mask_of(DataSource(str(tmp_path), data_format=name), "all"), layouts.truth)


def test_nothing_recognised_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match=r"found none of images/ \+ masks/, a \.csv list, .*a YAML with masks_dir"):
        open_data(tmp_path)
    with pytest.raises(SegplugError, match="none: no such data folder"):
        open_data(tmp_path / "none")
    for name in ("folders", "csv", "yolo", "coco", "cfd", "semantic"):
        with pytest.raises(SegplugError, match=str(tmp_path)):
            open_data(DataSource(str(tmp_path), data_format=name))


def test_unlabelled_images_count_as_crack_free_only_when_asked(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.folders(tmp_path)
    for name in "bcdef":
        layouts.photo(tmp_path / "train" / "images" / f"{name}.png")
    message = r"b\.png: no label; 5 of 6 images have none: b\.png, c\.png, d\.png and 2 more; .*--unlabelled crack-free"
    with pytest.raises(SegplugError, match=message):
        open_data(tmp_path).samples("train")
    assert len(open_data(tmp_path).samples("val")) == 1  # another split's trouble is its own
    data = open_data(DataSource(str(tmp_path), unlabelled="crack-free"))
    assert str(data).endswith("; 5 without label in train count as crack-free")
    assert CrackDataset(data.samples("train"))[3][1].max() == 0


def test_a_folder_called_valid_marks_labelled_pixels(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.photo(tmp_path / "images" / "a.png")
    layouts.picture(tmp_path / "masks" / "a.png", layouts.truth * 255)
    seen = np.full_like(layouts.truth, 255)
    seen[:, :10] = 0
    layouts.picture(tmp_path / "valid" / "a.png", seen)
    data = open_data(tmp_path)
    assert str(data).endswith("valid marks the labelled pixels")
    assert np.array_equal(layouts.mask_of(tmp_path, "all"), np.where(seen > 0, layouts.truth, 255))
    (tmp_path / "valid" / "a.png").unlink()
    with pytest.raises(SegplugError, match=r"valid: no mask a\.\* of labelled pixels; add one"):
        open_data(tmp_path).samples("all")


def test_a_turned_photo_is_explained(layouts: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    turned = Image.fromarray(np.zeros((64, 48, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "images" / "a.jpg", exif=exif)
    layouts.picture(tmp_path / "masks" / "a.png", np.ascontiguousarray(layouts.truth.T) * 255)
    with pytest.raises(SegplugError, match=r"a\.png: mask is 48x64 but a\.jpg is 64x48; .*EXIF orientation 6"):
        layouts.mask_of(tmp_path, "all")


def test_training_and_scoring_take_the_same_flags(
    cracks: Path, tiny: Callable[..., TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class ids in a list: 2 is crack, 255 has no label."""
    rows = ["image,mask,split"]
    for mask in sorted(cracks.glob("*/masks/*.png")):
        stored = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) // 255 * 2
        stored[:8] = 255
        cv2.imwrite(str(mask), stored)
        split = mask.parent.parent.name
        rows.append(f"{split}/images/{mask.name},{split}/masks/{mask.name},{split}")
    (cracks / "list.csv").write_text("\n".join(rows))
    said = {"data": str(cracks / "list.csv"), "crack_values": "2", "ignore_value": 255}
    run = train(tiny(**said, epochs=1))
    assert "data: CSV list, 10 images (train 8, test 2)\n" in capsys.readouterr().err
    flags = ["--data", str(cracks / "list.csv"), "--crack-values", "2", "--ignore-value", "255", "--device", "cpu"]
    assert main(["eval", str(run / "last.ckpt"), *flags, "--out", str(tmp_path / "scores.json")]) == 0
    assert "masks of 2 images: class ids 0, 2, crack = 2; 255 has no label" in capsys.readouterr().err
    row = json.loads((tmp_path / "scores.json").read_text())["per_image"][0]
    assert sum(row[k] for k in ("tp", "fp", "fn", "tn")) == 56 * 64
    assert main(["eval", str(run / "last.ckpt"), "--data", str(cracks / "list.csv"), "--device", "cpu"]) == 2


@pytest.mark.parametrize(
    ("build", "settings", "said"),
    [
        ("folders", {"classes": "crack"}, "classes has no effect on images/ + masks/"),
        ("csv_list", {"classes": "crack", "mask_values": "0/255"}, "classes has no effect on a .csv list"),
        ("yolo", {"classes": "0", "mask_values": "0/255"}, "mask_values has no effect on images/ + labels/*.txt"),
        ("coco", {"ignore_value": 9}, "ignore_value has no effect on a COCO .json"),
        ("cfd", {"classes": "1", "crack_values": "2"}, "classes has no effect on images + groundTruth/*.mat"),
    ],
)
def test_a_setting_without_effect_is_said(
    layouts: SimpleNamespace, tmp_path: Path, build: str, settings: dict[str, Any], said: str
) -> None:
    getattr(layouts, build)(tmp_path)
    assert [note for note in open_data(DataSource(str(tmp_path), **settings)).notes if "effect" in note] == [said]


@pytest.mark.parametrize("classes", ["", " , "])
def test_no_class_at_all_is_refused(tmp_path: Path, classes: str) -> None:
    with pytest.raises(SegplugError, match="classes is empty; name what is crack or leave it out"):
        DataSource(str(tmp_path), classes=classes)
