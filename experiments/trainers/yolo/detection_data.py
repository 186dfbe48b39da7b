"""A YOLO detection data set on disk: found, checked, named to Ultralytics, and turned into COCO ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from experiments.cells.record import hash_files
from experiments.errors import SpecError
from segplug.data.images.listing import IMAGE_SUFFIXES, list_images
from segplug.data.images.reading import UNREADABLE, orientation
from segplug.evaluation.exclude import kept_images
from yoloplug.bridge.training import image_suffixes


@dataclass(frozen=True)
class DetectionData:
    """Class names in order, and the sorted image files of the two splits."""

    names: tuple[str, ...]
    train: tuple[Path, ...]
    val: tuple[Path, ...]

    @property
    def files(self) -> list[Path]:
        """Images and labels: what the dataset's content hash is taken over."""
        images = [*self.train, *self.val]
        return images + [label for label in map(label_file, images) if label.exists()]

    def check(self) -> None:
        """Of every image its size; labels were read when the data were opened."""
        for image in (*self.train, *self.val):
            image_size(image)

    def content_hash(self) -> str:
        return hash_files(self.files)

    @property
    def scored(self) -> list[str]:
        return [image.name for image in self.val]

    def listed(self, file: Path) -> list[str]:
        keep = kept_images(file, self.val)
        return [image.name for image, kept in zip(self.val, keep, strict=True) if not kept]

    def write_yaml(self, folder: Path) -> Path:
        """Write `data.yaml` and the two file lists that Ultralytics reads into `folder`."""
        for split, images in (("train", self.train), ("val", self.val)):
            (folder / f"{split}.txt").write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
        path = folder / "data.yaml"
        content = {"path": str(folder), "train": "train.txt", "val": "val.txt", "names": dict(enumerate(self.names))}
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path


def open_detection(path: Path, val_share: float | None = None, split_seed: int = 0) -> DetectionData:
    """Read a YOLO `data.yaml`, or a folder with images/{train,val}, labels/{train,val} and classes.txt or data.yaml.

    val_share: there is no val; hold out this share of train, in proportion to the sets of classes that images show.
    """
    from_yaml = not path.is_dir() or ((path / "data.yaml").exists() and not (path / "classes.txt").exists())
    source = path / "data.yaml" if from_yaml and path.is_dir() else path
    names, train, val = (_of_yaml if from_yaml else _of_folder)(source)
    if not names:
        raise SpecError(f"{source}: no class names")
    if val_share is not None:
        if val is not None:
            raise SpecError(f"{source}: val_share {val_share:g}, but there is a val split ({val}); remove val_share")
        data = _held_out(names, _images(train), val_share, split_seed)
    elif val is None:
        where = "key 'val' is missing" if from_yaml else f"{source / 'images' / 'val'} does not exist"
        raise SpecError(f"{source}: {where}; a spec's val_share can hold out a share of train")
    else:
        data = DetectionData(names, _images(train), _images(val))
    if not any(label_file(image).exists() for image in data.train):
        raise SpecError(f"{train}: no label file found; the first image's would be {label_file(data.train[0])}")
    for image in data.files:
        if image.suffix == ".txt":
            _read_labels(image, len(names))
    return data


def label_file(image: Path) -> Path:
    """…/images/a/b.jpg -> …/labels/a/b.txt, the last `images` of the path, as Ultralytics does."""
    parts = list(image.parts)
    where = len(parts) - 1 - parts[::-1].index("images") if "images" in parts else None
    if where is not None:
        parts[where] = "labels"
    return Path(*parts).with_suffix(".txt")


def ground_truth(
    images: tuple[Path, ...], names: tuple[str, ...], photos: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """COCO dictionary in original pixels; image ids follow the order of `images`, category ids are class + 1.

    `area` is the box area in px^2, which decides small / medium / large. Exact duplicate rows count once. An image that
    is a crop names its photo in `group`.
    """
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, start=1):
        width, height = image_size(image)
        group = {"group": photos[image.name]} if photos else {}
        records.append({"id": image_id, "file_name": image.name, "width": width, "height": height, **group})
        for cls, x, y, w, h in _read_labels(label_file(image), len(names)):
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(cls) + 1,
                    "bbox": [float(v) for v in box],
                    "area": float(box[2] * box[3]),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(names)]
    return {"info": {}, "images": records, "annotations": annotations, "categories": categories}


def _of_folder(root: Path) -> tuple[tuple[str, ...], Path, Path | None]:
    """Class names, train, val or None."""
    classes = root / "classes.txt"
    if not classes.exists():
        raise SpecError(f"{classes} is missing; write one class name a line, in the order of the label ids")
    names = tuple(line.strip() for line in classes.read_text(encoding="utf-8").splitlines() if line.strip())
    val = root / "images" / "val"
    return names, root / "images" / "train", val if val.exists() else None


def _of_yaml(path: Path) -> tuple[tuple[str, ...], Path, Path | None]:
    """Class names, train, val or None."""
    if path.suffix not in {".yaml", ".yml"}:
        raise SpecError(f"{path}: a detection data set is a folder or a data.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read as YAML: {error}") from error
    missing = [key for key in ("train", "names") if not isinstance(content, dict) or key not in content]
    if missing:
        raise SpecError(f"{path}: key {missing[0]!r} is missing")
    names = content["names"]
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or sorted(names, key=str) != sorted(range(len(names)), key=str):
        raise SpecError(f"{path}: names must be a list, or a mapping from 0 on, got {names!r}")
    splits = {split: content[split] for split in ("train", "val") if content.get(split) is not None}
    for split, images in splits.items():
        if not isinstance(images, str):
            raise SpecError(f"{path}: {split} must be one folder or one list of images, got {images!r}")
    ordered = tuple(str(names[i]) for i in range(len(names)))
    root = (path.parent / str(content.get("path") or ".")).resolve()
    return ordered, root / splits["train"], root / splits["val"] if "val" in splits else None


def _held_out(names: tuple[str, ...], images: tuple[Path, ...], share: float, seed: int) -> DetectionData:
    """Images in a random order, sorted by the set of classes they show; every 1/share-th of that row goes to val."""
    shuffled = [images[i] for i in np.random.default_rng(seed).permutation(len(images))]
    row = sorted(
        shuffled, key=lambda image: sorted({int(label[0]) for label in _read_labels(label_file(image), len(names))})
    )
    val = {image for i, image in enumerate(row) if floor((i + 1) * share) > floor(i * share)}
    if not val or len(val) == len(images):
        raise SpecError(f"val_share {share:g} of {len(images)} images leaves train or val empty")
    return DetectionData(names, tuple(i for i in images if i not in val), tuple(i for i in images if i in val))


def _images(where: Path) -> tuple[Path, ...]:
    if where.is_dir():
        listing = list_images(where)
        images = sorted([*listing.files, *listing.unread])
    elif where.is_file():
        lines = where.read_text(encoding="utf-8").splitlines()
        images = [(where.parent / line.strip()).resolve() for line in lines if line.strip()]
        missing = next((image for image in images if not image.is_file()), None)
        if missing:
            raise SpecError(f"{where} names {missing}, which does not exist")
    else:
        raise SpecError(f"{where} does not exist; it must be a folder of images or a list of image files")
    if not images:
        raise SpecError(f"{where} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    known = image_suffixes()
    unknown = next((image for image in images if image.suffix.lower() not in known), None)
    if unknown:
        raise SpecError(f"{unknown}: Ultralytics does not read {unknown.suffix}; save it as PNG or JPEG")
    return tuple(images)


def _read_labels(path: Path, classes: int) -> np.ndarray:
    """(rows, 5) of class, x, y, w, h as fractions; a polygon row becomes its bounding box. A missing file is empty."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cls, *values = (float(v) for v in line.split())
        except ValueError as error:
            raise SpecError(f"{path}:{number}: not numbers: {line!r}") from error
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise SpecError(f"{path}:{number}: need class x y w h or class and a polygon, got {line!r}")
        if not 0 <= cls < classes:
            raise SpecError(f"{path}:{number}: class {cls:g} is not among the {classes} names")
        if len(values) > 4:
            xs, ys = np.array(values[0::2]), np.array(values[1::2])
            values = [(xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2, np.ptp(xs), np.ptp(ys)]
        if min(values) < 0 or max(values) > 1.01:
            raise SpecError(f"{path}:{number}: coordinates must be fractions of the image in [0, 1], got {line!r}")
        rows.append([cls, *values])
    return np.unique(np.array(rows), axis=0) if rows else np.zeros((0, 5))


def image_size(image: Path) -> tuple[int, int]:
    """Width and height in px as the image is shown (EXIF turns applied, as Ultralytics reads it)."""
    try:
        with Image.open(image) as opened:
            width, height = opened.size
    except UNREADABLE as error:
        raise SpecError(f"{image} is no image that can be read; replace it, or remove it with its labels") from error
    return (height, width) if orientation(image) > 4 else (width, height)
