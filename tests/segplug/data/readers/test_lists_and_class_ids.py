"""CSV rows, groups of source photos, CFD regions and semantic class ids."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat

from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.errors import SegplugError


def test_the_semantic_layout_carries_pixels_without_label(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.semantic(tmp_path)
    expected = layouts.truth.copy()
    expected[:4] = 255
    assert str(open_data(tmp_path)) == "data: Ultralytics semantic masks, 1 images (train 1)"
    assert np.array_equal(layouts.mask_of(tmp_path / "cracks.yaml", "train"), expected)


def test_semantic_class_ids_go_through_the_mapping_and_the_classes(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.semantic(tmp_path, {0: "ignore_label", 1: 1, 255: 0}, ("ground", "crack"))
    with pytest.raises(SegplugError, match=r"cracks\.yaml: several classes \(0 ground, 1 crack\); .*--classes 1"):
        open_data(tmp_path)
    found = layouts.mask_of(DataSource(str(tmp_path), classes="crack"), "train")
    assert found[0, 0] == 0 and found[10, 0] == 255 and np.array_equal(found == 1, layouts.truth == 1)
    layouts.semantic(tmp_path / "x", {1: 9}, ("ground", "crack"))
    with pytest.raises(SegplugError, match="label_mapping 1: 9 leads to no class id"):
        open_data(DataSource(str(tmp_path / "x"), classes="crack"))


def test_semantic_ids_outside_the_names_are_refused(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.semantic(tmp_path)
    layouts.picture(tmp_path / "masks" / "train" / "a.png", layouts.truth * 7)
    with pytest.raises(SegplugError, match=r"a\.png: mask value 7 is no class id"):
        layouts.mask_of(tmp_path, "train")


def test_cfd_regions_beyond_two_are_asked_about(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.cfd(tmp_path, crack=3)
    with pytest.raises(SegplugError, match=r"001\.mat: region ids 1, 3, .* --crack-values 2,3"):
        layouts.mask_of(tmp_path, "all")
    assert np.array_equal(layouts.mask_of(DataSource(str(tmp_path), crack_values=3), "all"), layouts.truth)
    (tmp_path / "groundTruth" / "001.mat").write_bytes(b"no matlab")
    with pytest.raises(SegplugError, match=r"001\.mat: not a \.mat file with groundTruth\.Segmentation"):
        layouts.mask_of(tmp_path, "all")
    savemat(tmp_path / "groundTruth" / "001.mat", {"mask": layouts.truth})
    with pytest.raises(SegplugError, match=r"001\.mat: not a \.mat file with groundTruth\.Segmentation"):
        layouts.mask_of(tmp_path, "all")


def test_csv_rows_are_checked(layouts: SimpleNamespace, tmp_path: Path) -> None:
    rows = [("one/a.jpg", "gt/none.png", "train", "p1"), ("one/b.jpg", "gt/a.png", "train", "p1")]
    layouts.csv_list(tmp_path, [*rows, ("two/a.jpg", "gt/a.png", "train", "")])
    with pytest.raises(SegplugError, match=r"list\.csv, line 2: no mask .*none\.png; correct .*and 1 more"):
        open_data(tmp_path).samples("train")
    layouts.csv_list(tmp_path, [("one/a.jpg", "gt/a.png", "trian", "")])
    with pytest.raises(SegplugError, match=r"line 2: split 'trian'; write train, val or test"):
        open_data(tmp_path)
    layouts.csv_list(tmp_path, [("one/a.jpg", "gt/a.png")])
    with pytest.raises(SegplugError, match=r"line 2: 2 values for 4 columns"):
        open_data(tmp_path)
    (tmp_path / "other.csv").write_text("image,label\na,b\n")
    with pytest.raises(SegplugError, match=r"other\.csv: no column mask in the first row \(found: image, label\)"):
        open_data(DataSource(str(tmp_path / "other.csv"), data_format="csv"))


def test_images_of_one_name_in_two_folders_get_longer_names(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.csv_list(tmp_path)
    samples = open_data(tmp_path).samples("train")
    assert [(p.name, p.group) for p in samples] == [("one-a", "p1"), ("two-a", "p2")]


def test_groups_come_from_a_table(layouts: SimpleNamespace, tmp_path: Path) -> None:
    layouts.folders(tmp_path)
    table = tmp_path / "groups.csv"
    table.write_text("image,group\na.png,wall 3\n")
    assert open_data(DataSource(str(tmp_path), groups=str(table))).samples("train")[0].group == "wall 3"
    table.write_text("image,group\nb,wall 3\n")
    data = open_data(DataSource(str(tmp_path), groups=str(table)))
    with pytest.raises(SegplugError, match=r"groups\.csv: no row for a\.png"):
        data.samples("train")
    assert data.samples("val")[0].group is None and "1 of 1 images of val have no group" in str(data)


@pytest.mark.parametrize("layout", ["yolo", "semantic"])
def test_what_a_yaml_lists_and_cannot_be_read_is_told(layouts: SimpleNamespace, tmp_path: Path, layout: str) -> None:
    """Of a folder and of a .txt list alike; a format that lacks its package is refused with the remedy."""
    getattr(layouts, layout)(tmp_path, **({"names": {0: "crack"}} if layout == "yolo" else {}))
    folder = tmp_path / "images" / "train"
    (folder / "notes.doc").write_text("")
    assert f"{folder}: left out 1 .doc (no image)" in str(open_data(tmp_path))
    yaml = tmp_path / ("data.yaml" if layout == "yolo" else "cracks.yaml")
    yaml.write_text(yaml.read_text().replace("images/train", "list.txt"))
    (tmp_path / "list.txt").write_text("images/train/a.jpg\nimages/train/a.pdf\n\nimages/train/raw.mp4\n")
    assert f"{tmp_path / 'list.txt'}: left out 1 .mp4, 1 .pdf (no image)" in str(open_data(tmp_path))
