"""YOLO and COCO outlines and run lengths: which become crack, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.errors import SegplugError


def test_an_empty_yolo_file_is_a_label_without_object(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.yolo(tmp_path, {0: "crack"})
    assert layouts.mask_of(tmp_path, "train", 1).max() == 0


def test_coco_run_lengths_plain_and_packed(layouts: SimpleNamespace, tmp_path: Path) -> None:
    half = np.zeros_like(layouts.truth)
    half[:, 30:] = 1
    packed = coco_mask.encode(np.asfortranarray(half))
    packed["counts"] = packed["counts"].decode()
    flat = layouts.truth.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]]))).tolist()
    runs = np.diff([0, *edges, flat.size]).tolist()
    layouts.coco(tmp_path, [packed, {"size": [48, 64], "counts": runs}, [layouts.outline()]])
    assert "COCO RLE and polygons" in str(open_data(tmp_path))
    assert np.array_equal(layouts.mask_of(tmp_path, "all"), layouts.truth | half)
    layouts.coco(tmp_path, [{"size": [48, 64], "counts": runs[:-1]}])
    with pytest.raises(SegplugError, match=r"an RLE of a\.jpg does not fill its 64x48 pixels"):
        layouts.mask_of(tmp_path, "all")
    layouts.coco(tmp_path, [{"size": [64, 48], "counts": runs}])
    with pytest.raises(SegplugError, match=r"has size .*, not its image's"):
        layouts.mask_of(tmp_path, "all")


def test_classes_choose_what_is_crack(layouts: SimpleNamespace, tmp_path: Path) -> None:
    half = [[0, 0, 64, 0, 64, 8, 0, 8]]
    layouts.coco(tmp_path / "c", [[layouts.outline()], half], ("crack", "joint"))
    with pytest.raises(SegplugError, match=r"several classes \(1 crack, 2 joint\)"):
        open_data(tmp_path / "c")
    assert np.array_equal(layouts.mask_of(DataSource(str(tmp_path / "c"), classes="Crack"), "all"), layouts.truth)
    assert layouts.mask_of(DataSource(str(tmp_path / "c"), classes="1,joint"), "all")[:8].all()
    with pytest.raises(SegplugError, match="no class 'spall'; found: 1 crack, 2 joint"):
        open_data(DataSource(str(tmp_path / "c"), classes="spall"))
    layouts.yolo(tmp_path / "y", line="1 " + " ".join(f"{v:.6f}" for v in layouts.outline(64, 48)))
    assert np.array_equal(layouts.mask_of(DataSource(str(tmp_path / "y"), classes=1), "train"), layouts.truth)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 1: a box, not an outline"),
        ("0 0.5 0.5 0.2 0.2 0.1", "line 1: 5 coordinates"),
        ("0 5 5 20 20 10 10", "line 1: coordinates from 5 to 20; divide them"),
        ("0.5 0 0 1 0 1 1", "line 1: class 0.5 is no whole number"),
        ("0 a b c", "line 1: holds something else than numbers"),
    ],
)
def test_broken_yolo_lines_are_named(layouts: SimpleNamespace, tmp_path: Path, line: str, message: str) -> None:
    layouts.yolo(tmp_path, {0: "crack"}, line)
    with pytest.raises(SegplugError, match=rf"a\.txt, {message}"):
        layouts.mask_of(tmp_path, "train")


def test_coco_mistakes_are_named(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.coco(tmp_path)
    file = tmp_path / "annotations.json"
    about = json.loads(file.read_text())
    about["images"] += [{"id": 8, "file_name": "gone.jpg", "height": 1, "width": 1}]
    file.write_text(json.dumps(about))
    with pytest.raises(SegplugError, match=r"annotations\.json: no image gone\.jpg; put it beside"):
        open_data(tmp_path).samples("all")
    about["images"][0]["width"] = 65
    file.write_text(json.dumps({**about, "images": about["images"][:1]}))
    with pytest.raises(SegplugError, match=r"a\.jpg: 64x48, but annotations\.json says 65x48"):
        layouts.mask_of(tmp_path, "all")
    file.write_text(json.dumps({"images": [], "annotations": [{}]}))
    with pytest.raises(SegplugError, match="not a COCO file: annotations must be a list of entries with image_id"):
        open_data(tmp_path)
    file.write_text('{"images": "annotations"')
    with pytest.raises(SegplugError, match="not readable as JSON"):
        open_data(DataSource(str(file), data_format="coco"))
