"""Opening four times as many images takes four times as many calls, whatever the layout; no picture is opened."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.measurement.folder import measure_folder
from segplug.measurement.scale import Scale


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def folders(root: Path, names: list[str]) -> None:
    touch(*(root / kind / f"{n}.png" for n in names for kind in ("images", "masks", "valid")))


def yolo(root: Path, names: list[str]) -> None:
    touch(*(root / "images" / "train" / f"{n}.jpg" for n in names))
    touch(*(root / "labels" / "train" / f"{n}.txt" for n in names))


def yolo_with_yaml(root: Path, names: list[str]) -> None:
    yolo(root, names)
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "images/train", "names": ["crack"]}))


def semantic(root: Path, names: list[str]) -> None:
    touch(*(root / kind / f"{n}.png" for n in names for kind in ("images", "masks")))
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "images", "masks_dir": "masks", "names": ["crack"]}))


def csv_list(root: Path, names: list[str]) -> None:
    folders(root / "in", names)
    (root / "list.csv").write_text("image,mask\n" + "".join(f"in/images/{n}.png,in/masks/{n}.png\n" for n in names))


def coco(root: Path, names: list[str]) -> None:
    touch(*(root / "images" / f"{n}.jpg" for n in names))
    images = [{"id": i, "file_name": f"{n}.jpg", "height": 4, "width": 4} for i, n in enumerate(names)]
    shapes = [{"image_id": i, "category_id": 1, "segmentation": [[0, 0, 1, 1, 0, 1]]} for i in range(len(names))]
    about = {"images": images, "annotations": shapes, "categories": [{"id": 1, "name": "crack"}]}
    (root / "all.json").write_text(json.dumps(about))


def cfd(root: Path, names: list[str]) -> None:
    touch(*(root / "image" / f"{n}.jpg" for n in names))
    touch(*(root / "groundTruth" / f"{n}.mat" for n in names))


def calls(work: Callable[[], object]) -> int:
    """Of Python and of C functions."""
    count = 0

    def watch(frame: FrameType, event: str, what: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "build", [folders, yolo, yolo_with_yaml, semantic, csv_list, coco, cfd], ids=lambda build: build.__name__
)
def test_opening_grows_with_the_number_of_images(tmp_path: Path, build: Callable[[Path, list[str]], None]) -> None:
    taken = []
    for number in (50, 200):
        root = tmp_path / str(number)
        root.mkdir()
        build(root, [f"n{i}" for i in range(number)])
        (split,) = open_data(DataSource(str(root))).splits
        samples: list[object] = []
        source = DataSource(str(root))
        taken.append(calls(lambda: samples.extend(open_data(source).samples(split))))  # noqa: B023
        assert len(samples) == number
    assert taken[1] < 5 * taken[0]


def test_measuring_looks_for_photos_once(tmp_path: Path) -> None:
    """Masks that cannot be read cost next to nothing, so that what is left is the search."""
    taken = []
    for number in (50, 200):
        root = tmp_path / str(number)
        touch(*(root / kind / f"n{i}.png" for i in range(number) for kind in ("masks", "photos")))
        touch(*(root / "photos" / f"more{i}.png" for i in range(number)))
        run = lambda: measure_folder(root / "masks", root / "out", Scale(px_only=True), root / "photos")  # noqa: B023, E731
        taken.append(calls(run))
    assert taken[1] < 5 * taken[0]
