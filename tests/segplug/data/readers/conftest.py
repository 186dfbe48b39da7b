"""The same crack in every layout that segplug reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml
from scipy.io import savemat

from segplug.data.dataset import CrackDataset
from segplug.data.readers import open_data
from segplug.data.source import DataSource

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
    return CrackDataset(open_data(source).samples(split))[index][1][0].numpy()


@pytest.fixture
def layouts() -> SimpleNamespace:
    """`layouts.coco(folder)` and so on write that layout; `truth` is its mask, `mask_of` reads one back."""
    writers = (photo, picture, outline, folders, csv_list, yolo, coco, cfd, semantic)
    return SimpleNamespace(truth=TRUTH, mask_of=mask_of, **{writer.__name__: writer for writer in writers})
