"""Layouts under the names that public data sets use, labelme's shapes, and names that nearly fit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.errors import SegplugError


def pair(layouts: SimpleNamespace, image: Path, mask: Path) -> None:
    layouts.photo(image)
    layouts.picture(mask, layouts.truth * 255)


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("train_img/a.jpg", "train_lab/a.png", "train"),
        ("test_img/a.jpg", "test_lab/a.png", "test"),
        ("images/a.jpg", "masks/a_mask.png", "all"),
        ("images/a.jpg", "masks/mask_a.png", "all"),
        ("train/images/n/a.jpg", "train/masks/n/a-label.png", "train"),
        ("a.jpg", "a_mask.png", "all"),
        ("train/a.png", "train/a_GT.png", "train"),
        ("a.jpg", "a.png", "all"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", "all"),
        ("img/train/a.jpg", "gt/train/a.png", "train"),
        ("images/north/a.jpg", "masks/north/a.png", "all"),
    ],
)
def test_layouts_of_public_data(layouts: SimpleNamespace, tmp_path: Path, image: str, mask: str, split: str) -> None:
    pair(layouts, tmp_path / image, tmp_path / mask)
    data = open_data(tmp_path)
    assert list(data.splits) == [split] and len(data.samples(split)) == 1 and not data.findings
    assert np.array_equal(layouts.mask_of(tmp_path, split), layouts.truth)


def test_a_common_addition_is_said_and_what_it_does_not_fit_is_a_near_miss(
    layouts: SimpleNamespace, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        pair(layouts, tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}_mask.png")
    assert str(open_data(tmp_path)).endswith("3 images; masks are called NAME_mask")
    (tmp_path / "masks" / "c_mask.png").rename(tmp_path / "masks" / "c_msk.png")
    with pytest.raises(SegplugError, match=r"c_msk\.png: no image c_msk\.\* in .*images, but c\.jpg; add it or"):
        open_data(tmp_path).samples("all")


def test_pascal_vocs_lists_are_its_splits(layouts: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("a", "b", "unlabelled"):
        layouts.photo(tmp_path / "JPEGImages" / f"{name}.jpg")
    for name in ("a", "b"):
        mask = Image.fromarray(layouts.truth).convert("P")
        mask.putpalette([0, 0, 0, 128, 0, 0])
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        mask.save(tmp_path / "SegmentationClass" / f"{name}.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    data = open_data(tmp_path)
    assert {split: [s.name for s in data.samples(split)] for split in data.splits} == {"train": ["a"], "val": ["b"]}
    assert np.array_equal(layouts.mask_of(tmp_path, "val"), layouts.truth)
    (lists / "val.txt").write_text("b\ngone\n")
    with pytest.raises(SegplugError, match=r"no image gone\.\* in .*JPEGImages, but val\.txt lists it"):
        open_data(tmp_path).samples("val")


def test_folders_that_nearly_fit_are_named(layouts: SimpleNamespace, tmp_path: Path) -> None:
    pair(layouts, tmp_path / "Photos" / "a.jpg", tmp_path / "Cracks" / "a.png")
    with pytest.raises(SegplugError, match=r"It holds (Cracks|Photos)/ \(1 images\), .*: rename them"):
        open_data(tmp_path)
    layouts.photo(tmp_path / "bare" / "a.jpg")
    with pytest.raises(SegplugError, match="It holds 1 images and no labels"):
        open_data(tmp_path / "bare")


Shapes = Callable[..., Path]


@pytest.fixture
def labelme(layouts: SimpleNamespace, tmp_path: Path) -> Shapes:
    """labelme(shape, …, name="a") writes a.jpg and a.json; returns the folder."""

    def write(*shapes: dict[str, Any], name: str = "a", height: int = 48) -> Path:
        layouts.photo(tmp_path / f"{name}.jpg")
        about = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
        text = json.dumps({**about, "imageHeight": height, "imageWidth": 64})
        (tmp_path / f"{name}.json").write_text(text)
        return tmp_path

    return write


def shape(points: list[float], kind: str = "polygon", label: str = "crack", **more: str) -> dict[str, Any]:
    pairs = np.array(points).reshape(-1, 2).tolist()
    return {"label": label, "points": pairs, "shape_type": kind, "group_id": None, **more}


def test_labelme_polygons_circles_and_masks(layouts: SimpleNamespace, labelme: Shapes) -> None:
    root = labelme(shape(layouts.outline()))
    labelme(name="b")
    assert str(open_data(root)) == "data: labelme shapes, 2 images"
    assert np.array_equal(layouts.mask_of(root, "all"), layouts.truth) and layouts.mask_of(root, "all", 1).max() == 0
    drawn = base64.b64encode(cv2.imencode(".png", np.full((5, 7), 255, np.uint8))[1].tobytes()).decode()
    labelme(shape([10, 20, 16, 24], "mask", mask=drawn), shape([40, 30, 48, 30], "circle"))
    mask = layouts.mask_of(root, "all")
    assert mask[20:25, 10:17].all() and mask[30, 40] and abs(int(mask.sum()) - 35 - np.pi * 64) < 10
    layouts.photo(root / "c.jpg")
    with pytest.raises(SegplugError, match=r"c\.jpg: no label; 1 of 3 images have none"):
        open_data(root).samples("all")


def test_labelme_labels_choose_what_is_crack(layouts: SimpleNamespace, labelme: Shapes) -> None:
    root = labelme(shape(layouts.outline()), shape([0, 0, 64, 0, 64, 8, 0, 8], label="joint"))
    with pytest.raises(SegplugError, match=r"several classes \(0 crack, 1 joint\); say which are crack, as --classes"):
        open_data(root)
    assert np.array_equal(layouts.mask_of(DataSource(str(root), classes="crack"), "all"), layouts.truth)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape([0, 0, 9, 9], "linestrip"), "shape 1: a linestrip has no outline of a crack; draw polygons"),
        (shape([0, 0, 9, 9], "rectangle"), "shape 1: a rectangle has no outline"),
        (shape([0, 0, 9, 9]), "shape 1 has fewer than three points"),
        (shape([0, 0, 1e9, 0, 3, 3]), "shape 1 has points far outside the 64x48 pixels"),
        (shape([0, 0, float("nan"), 0, 3, 3]), "shape 1 has points far outside"),
        (shape([60, 40, 70, 50], "mask", mask="eA=="), "shape 1: its mask is no picture"),
        ({"label": "crack"}, "not a labelme file"),
    ],
)
def test_labelme_mistakes_are_named(
    layouts: SimpleNamespace, labelme: Shapes, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(SegplugError, match=message):
        layouts.mask_of(labelme(wrong), "all")


def test_labelme_of_another_size_is_named(layouts: SimpleNamespace, labelme: Shapes) -> None:
    with pytest.raises(SegplugError, match=r"a\.jpg: 64x48, but a\.json says 64x50; use the pictures that were"):
        layouts.mask_of(labelme(shape(layouts.outline()), height=50), "all")


def test_open_data_is_passed_on(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.folders(tmp_path)
    data = open_data(DataSource(str(tmp_path), mask_values="0/255"))
    assert open_data(data) is data and data.source.mask_values == "0/255"
