"""Every format behind --data gives the same photographs and masks, and its mistakes are named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from segplug.cli import main
from segplug.config import TrainConfig
from segplug.data import CrackDataset
from segplug.data_source import DataSource
from segplug.errors import SegplugError
from segplug.readers import open_data
from segplug.train import train

BOX = (8, 20, 40, 50)  # left, top, right, bottom in pixels of the 64 x 48 photographs
TRUTH = np.zeros((48, 64), dtype=np.uint8)
TRUTH[20:50, 8:40] = 1


def photo(path: Path, shade: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 64, 3), shade, dtype=np.uint8))
    return path


def picture(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values)
    return path


def outline(width: int = 1, height: int = 1) -> list[float]:
    x, y, right, bottom = BOX[0] / width, BOX[1] / height, BOX[2] / width, min(BOX[3], 48) / height
    return [x, y, right, y, right, bottom, x, bottom]


def folders(root: Path) -> None:
    for split in ("train", "valid"):
        photo(root / split / "images" / "a.png")
        picture(root / split / "masks" / "a.png", TRUTH * 255)


def csv_list(root: Path, rows: list[tuple[str, ...]] | None = None) -> None:
    photo(root / "one" / "a.jpg")
    photo(root / "two" / "a.jpg")
    picture(root / "gt" / "a.png", TRUTH)
    header = ("image", "mask", "split", "group")
    rows = rows or [("one/a.jpg", "gt/a.png", "train", "p1"), ("two/a.jpg", "gt/a.png", "train", "p2")]
    with (root / "list.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def yolo(root: Path, names: dict[int, str] | None = None, line: str | None = None) -> None:
    photo(root / "images" / "train" / "a.jpg")
    photo(root / "images" / "train" / "b.jpg")
    (root / "labels" / "train").mkdir(parents=True)
    text = line or "0 " + " ".join(f"{v:.6f}" for v in outline(64, 48))
    (root / "labels" / "train" / "a.txt").write_text(text + "\n")
    (root / "labels" / "train" / "b.txt").write_text("")
    if names is not None:
        (root / "data.yaml").write_text(yaml.safe_dump({"path": ".", "train": "images/train", "names": names}))


def coco(root: Path, shapes: list[object] | None = None, categories: tuple[str, ...] = ("crack",)) -> None:
    photo(root / "images" / "a.jpg")
    shapes = [[outline()]] if shapes is None else shapes
    about = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": 48, "width": 64}],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(categories)],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": i % len(categories) + 1, "segmentation": s, "iscrowd": 0}
            for i, s in enumerate(shapes)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(about))


def cfd(root: Path, crack: int = 2) -> None:
    photo(root / "image" / "001.jpg")
    (root / "groundTruth").mkdir()
    regions = np.where(TRUTH > 0, crack, 1).astype(np.uint16)
    savemat(root / "groundTruth" / "001.mat", {"groundTruth": {"Segmentation": regions, "Boundaries": TRUTH}})


def semantic(root: Path, mapping: dict[int, object] | None = None, names: tuple[str, ...] = ("crack",)) -> None:
    photo(root / "images" / "train" / "a.jpg")
    stored = TRUTH.copy()
    stored[:4] = 255
    picture(root / "masks" / "train" / "a.png", stored)
    about = {"path": ".", "train": "images/train", "masks_dir": "masks", "names": dict(enumerate(names))}
    (root / "cracks.yaml").write_text(yaml.safe_dump({**about, **({"label_mapping": mapping} if mapping else {})}))


def mask_of(source: DataSource | Path, split: str, index: int = 0) -> np.ndarray:
    return CrackDataset(open_data(source).pairs(split))[index][1][0].numpy()


@pytest.mark.parametrize(
    ("build", "split", "line"),
    [
        (folders, "val", "data: folders of images and masks, 2 images (train 1, val 1)"),
        (csv_list, "train", "data: CSV list, 2 images (train 2)"),
        (lambda root: yolo(root, {0: "crack"}), "train", "data: YOLO outlines, 2 images (train 2)"),
        (yolo, "train", "data: YOLO outlines, 2 images (train 2)"),
        (coco, "all", "data: COCO polygons, 1 images"),
        (cfd, "all", "data: CFD .mat regions, 1 images"),
    ],
    ids=["folders", "csv", "yolo", "yolo without yaml", "coco", "cfd"],
)
def test_formats_are_recognised_stated_and_read(
    tmp_path: Path, build: Callable[[Path], None], split: str, line: str
) -> None:
    build(tmp_path)
    assert str(open_data(tmp_path)) == line
    assert np.array_equal(mask_of(tmp_path, split), TRUTH)


def test_an_empty_yolo_file_is_a_label_without_object(tmp_path: Path) -> None:
    yolo(tmp_path, {0: "crack"})
    assert mask_of(tmp_path, "train", 1).max() == 0


def test_the_semantic_layout_carries_pixels_without_label(tmp_path: Path) -> None:
    semantic(tmp_path)
    expected = TRUTH.copy()
    expected[:4] = 255
    assert str(open_data(tmp_path)) == "data: Ultralytics semantic masks, 1 images (train 1)"
    assert np.array_equal(mask_of(tmp_path / "cracks.yaml", "train"), expected)


def test_semantic_class_ids_go_through_the_mapping_and_the_classes(tmp_path: Path) -> None:
    semantic(tmp_path, {0: "ignore_label", 1: 1, 255: 0}, ("ground", "crack"))
    with pytest.raises(SegplugError, match=r"cracks\.yaml: several classes \(0 ground, 1 crack\); .*--classes 1"):
        open_data(tmp_path)
    found = mask_of(DataSource(str(tmp_path), classes="crack"), "train")
    assert found[0, 0] == 0 and found[10, 0] == 255 and np.array_equal(found == 1, TRUTH == 1)
    semantic(tmp_path / "x", {1: 9}, ("ground", "crack"))
    with pytest.raises(SegplugError, match="label_mapping 1: 9 leads to no class id"):
        open_data(DataSource(str(tmp_path / "x"), classes="crack"))


def test_semantic_ids_outside_the_names_are_refused(tmp_path: Path) -> None:
    semantic(tmp_path)
    picture(tmp_path / "masks" / "train" / "a.png", TRUTH * 7)
    with pytest.raises(SegplugError, match=r"a\.png: mask value 7 is no class id"):
        mask_of(tmp_path, "train")


def test_coco_run_lengths_plain_and_packed(tmp_path: Path) -> None:
    half = np.zeros_like(TRUTH)
    half[:, 30:] = 1
    packed = coco_mask.encode(np.asfortranarray(half))
    packed["counts"] = packed["counts"].decode()
    flat = TRUTH.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]]))).tolist()
    runs = np.diff([0, *edges, flat.size]).tolist()
    coco(tmp_path, [packed, {"size": [48, 64], "counts": runs}, [outline()]])
    assert "COCO RLE and polygons" in str(open_data(tmp_path))
    assert np.array_equal(mask_of(tmp_path, "all"), TRUTH | half)
    coco(tmp_path, [{"size": [48, 64], "counts": runs[:-1]}])
    with pytest.raises(SegplugError, match=r"an RLE of a\.jpg does not fill its 64x48 pixels"):
        mask_of(tmp_path, "all")
    coco(tmp_path, [{"size": [64, 48], "counts": runs}])
    with pytest.raises(SegplugError, match=r"has size .*, not its image's"):
        mask_of(tmp_path, "all")


def test_classes_choose_what_is_crack(tmp_path: Path) -> None:
    half = [[0, 0, 64, 0, 64, 8, 0, 8]]
    coco(tmp_path / "c", [[outline()], half], ("crack", "joint"))
    with pytest.raises(SegplugError, match=r"several classes \(1 crack, 2 joint\)"):
        open_data(tmp_path / "c")
    assert np.array_equal(mask_of(DataSource(str(tmp_path / "c"), classes="Crack"), "all"), TRUTH)
    assert mask_of(DataSource(str(tmp_path / "c"), classes="1,joint"), "all")[:8].all()
    with pytest.raises(SegplugError, match="no class 'spall'; found: 1 crack, 2 joint"):
        open_data(DataSource(str(tmp_path / "c"), classes="spall"))
    yolo(tmp_path / "y", line="1 " + " ".join(f"{v:.6f}" for v in outline(64, 48)))
    assert np.array_equal(mask_of(DataSource(str(tmp_path / "y"), classes=1), "train"), TRUTH)


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
def test_broken_yolo_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    yolo(tmp_path, {0: "crack"}, line)
    with pytest.raises(SegplugError, match=rf"a\.txt, {message}"):
        mask_of(tmp_path, "train")


def test_cfd_regions_beyond_two_are_asked_about(tmp_path: Path) -> None:
    cfd(tmp_path, crack=3)
    with pytest.raises(SegplugError, match=r"001\.mat: region ids 1, 3, .* --crack-values 2,3"):
        mask_of(tmp_path, "all")
    assert np.array_equal(mask_of(DataSource(str(tmp_path), crack_values=3), "all"), TRUTH)
    (tmp_path / "groundTruth" / "001.mat").write_bytes(b"no matlab")
    with pytest.raises(SegplugError, match=r"001\.mat: not a \.mat file with groundTruth\.Segmentation"):
        mask_of(tmp_path, "all")
    savemat(tmp_path / "groundTruth" / "001.mat", {"mask": TRUTH})
    with pytest.raises(SegplugError, match=r"001\.mat: not a \.mat file with groundTruth\.Segmentation"):
        mask_of(tmp_path, "all")


def test_csv_rows_are_checked(tmp_path: Path) -> None:
    rows = [("one/a.jpg", "gt/none.png", "train", "p1"), ("one/b.jpg", "gt/a.png", "train", "p1")]
    csv_list(tmp_path, [*rows, ("two/a.jpg", "gt/a.png", "train", "")])
    with pytest.raises(SegplugError, match=r"list\.csv, line 2: no mask .*none\.png; correct .*and 1 more"):
        open_data(tmp_path).pairs("train")
    csv_list(tmp_path, [("one/a.jpg", "gt/a.png", "trian", "")])
    with pytest.raises(SegplugError, match=r"line 2: split 'trian'; write train, val or test"):
        open_data(tmp_path)
    csv_list(tmp_path, [("one/a.jpg", "gt/a.png")])
    with pytest.raises(SegplugError, match=r"line 2: 2 values for 4 columns"):
        open_data(tmp_path)
    (tmp_path / "other.csv").write_text("image,label\na,b\n")
    with pytest.raises(SegplugError, match=r"other\.csv: no column mask in the first row \(found: image, label\)"):
        open_data(DataSource(str(tmp_path / "other.csv"), data_format="csv"))


def test_images_of_one_name_in_two_folders_get_longer_names(tmp_path: Path) -> None:
    csv_list(tmp_path)
    pairs = open_data(tmp_path).pairs("train")
    assert [(p.name, p.group) for p in pairs] == [("one-a", "p1"), ("two-a", "p2")]


def test_unlabelled_images_count_as_crack_free_only_when_asked(tmp_path: Path) -> None:
    folders(tmp_path)
    for name in "bcdef":
        photo(tmp_path / "train" / "images" / f"{name}.png")
    message = r"b\.png: no label; 5 of 6 images have none: b\.png, c\.png, d\.png and 2 more; .*--unlabelled crack-free"
    with pytest.raises(SegplugError, match=message):
        open_data(tmp_path).pairs("train")
    assert len(open_data(tmp_path).pairs("val")) == 1  # another split's trouble is its own
    data = open_data(DataSource(str(tmp_path), unlabelled="crack-free"))
    assert str(data).endswith("; 5 without label in train count as crack-free")
    assert CrackDataset(data.pairs("train"))[3][1].max() == 0


def test_two_formats_in_one_folder_are_asked_about(tmp_path: Path) -> None:
    coco(tmp_path)
    picture(tmp_path / "masks" / "a.png", TRUTH)
    with pytest.raises(SegplugError, match="could be folders or coco; say which, as --data-format folders"):
        open_data(tmp_path)
    for name in ("folders", "coco"):
        assert np.array_equal(mask_of(DataSource(str(tmp_path), data_format=name), "all"), TRUTH)


def test_nothing_recognised_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match=r"found none of images/ \+ masks/, a \.csv list, .*a YAML with masks_dir"):
        open_data(tmp_path)
    with pytest.raises(SegplugError, match="none: no such data folder"):
        open_data(tmp_path / "none")
    for name in ("folders", "csv", "yolo", "coco", "cfd", "semantic"):
        with pytest.raises(SegplugError, match=str(tmp_path)):
            open_data(DataSource(str(tmp_path), data_format=name))


def test_a_folder_called_valid_marks_labelled_pixels(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png")
    picture(tmp_path / "masks" / "a.png", TRUTH * 255)
    seen = np.full_like(TRUTH, 255)
    seen[:, :10] = 0
    picture(tmp_path / "valid" / "a.png", seen)
    data = open_data(tmp_path)
    assert str(data).endswith("valid marks the labelled pixels")
    assert np.array_equal(mask_of(tmp_path, "all"), np.where(seen > 0, TRUTH, 255))
    (tmp_path / "valid" / "a.png").unlink()
    with pytest.raises(SegplugError, match=r"valid: no mask a\.\* of labelled pixels; add one"):
        open_data(tmp_path).pairs("all")


def test_groups_come_from_a_table(tmp_path: Path) -> None:
    folders(tmp_path)
    table = tmp_path / "groups.csv"
    table.write_text("image,group\na.png,wall 3\n")
    assert open_data(DataSource(str(tmp_path), groups=str(table))).pairs("train")[0].group == "wall 3"
    table.write_text("image,group\nb,wall 3\n")
    data = open_data(DataSource(str(tmp_path), groups=str(table)))
    with pytest.raises(SegplugError, match=r"groups\.csv: no row for a\.png"):
        data.pairs("train")
    assert data.pairs("val")[0].group is None and "1 of 1 images of val have no group" in str(data)


def test_a_turned_photo_is_explained(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    turned = Image.fromarray(np.zeros((64, 48, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "images" / "a.jpg", exif=exif)
    picture(tmp_path / "masks" / "a.png", np.ascontiguousarray(TRUTH.T) * 255)
    with pytest.raises(SegplugError, match=r"a\.png: mask is 48x64 but a\.jpg is 64x48; .*EXIF orientation 6"):
        mask_of(tmp_path, "all")


def test_coco_mistakes_are_named(tmp_path: Path) -> None:
    coco(tmp_path)
    file = tmp_path / "annotations.json"
    about = json.loads(file.read_text())
    about["images"] += [{"id": 8, "file_name": "gone.jpg", "height": 1, "width": 1}]
    file.write_text(json.dumps(about))
    with pytest.raises(SegplugError, match=r"annotations\.json: no image gone\.jpg; put it beside"):
        open_data(tmp_path).pairs("all")
    about["images"][0]["width"] = 65
    file.write_text(json.dumps({**about, "images": about["images"][:1]}))
    with pytest.raises(SegplugError, match=r"a\.jpg: 64x48, but annotations\.json says 65x48"):
        mask_of(tmp_path, "all")
    file.write_text(json.dumps({"images": [], "annotations": [{}]}))
    with pytest.raises(SegplugError, match="not a COCO file: annotations must be a list of entries with image_id"):
        open_data(tmp_path)
    file.write_text('{"images": "annotations"')
    with pytest.raises(SegplugError, match="not readable as JSON"):
        open_data(DataSource(str(file), data_format="coco"))


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
