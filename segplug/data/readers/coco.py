"""COCO JSON: polygons and RLE, one file, or one a split."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from segplug.data.labels import CrackFree, Label
from segplug.data.labels.outlines import CocoShapes
from segplug.data.readers.data_yaml import crack_classes
from segplug.data.readers.found import SPLIT_NAMES, Found
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.text_files import is_file, read_json
from segplug.errors import SegplugError

HEAD = 4096


def recognises(path: Path) -> bool:
    return bool(_files(path))


def read(path: Path, source: DataSource) -> Found:
    files = {"all": [path]} if path.is_file() else _files(path)
    if not files:
        raise SegplugError(f"{path}: no COCO .json in it, in annotations/ or in train/, val/, test/")
    if len(files) > 1 and "all" in files:
        raise SegplugError(f"{files['all'][0]}: names no split, but others do", "name the file you mean as data")
    found, kinds = Found(""), set()
    for split, candidates in files.items():
        if len(candidates) > 1:
            names = ", ".join(str(f) for f in candidates)
            raise SegplugError(f"{path}: several COCO files for {split} ({names})", "name the file you mean as data")
        kinds |= _read_file(candidates[0], split, source, found)
    found.about = "COCO " + (" and ".join(sorted(kinds)) or "without objects")
    return found


def _read_file(file: Path, split: str, source: DataSource, found: Found) -> set[str]:
    """Add the samples of one file; returns "polygons", "RLE" or both."""
    about = _contents(file)
    wanted = source.class_list()
    crack = crack_classes(file, {c["id"]: str(c["name"]) for c in about["categories"]}, wanted)
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in about["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    ids = {image["id"] for image in about["images"]}
    for lost in sorted(by_image.keys() - ids, key=str):
        text = f"{file}: annotations of image id {lost}, which is not listed"
        found.lacks("no image", text, "list it or remove them", split, file)
    kinds: set[str] = set()
    samples = found.splits.setdefault(split, [])
    for image in about["images"]:
        place = _located(file, split, str(image["file_name"]))
        if place is None:
            text, remedy = f"{file}: no image {image['file_name']}", "put it beside the file or into images/"
            found.lacks("no image", text, remedy, split, image["file_name"])
            continue
        shapes = []
        for annotation in by_image[image["id"]]:
            if annotation["category_id"] not in crack:
                continue
            shape = annotation.get("segmentation")
            if not shape or not isinstance(shape, (list, dict)):
                text = f"{file}: annotation {annotation.get('id')} of {image['file_name']} has no outline, only a box"
                found.lacks("no outline", text, "outline it or remove it", split, place)
                continue
            kinds.add("RLE" if isinstance(shape, dict) else "polygons")
            shapes.append(shape)
        size = (int(image["height"]), int(image["width"]))
        label: Label = CocoShapes(file, size, shapes) if by_image[image["id"]] else CrackFree(place)
        samples.append(Sample(place.stem, place, label))
    return kinds


def _contents(file: Path) -> dict[str, Any]:
    about = read_json(file)
    wanted = {
        "images": ("id", "file_name", "height", "width"),
        "annotations": ("image_id", "category_id"),
        "categories": ("id", "name"),
    }
    for part, keys in wanted.items():
        rows = about.get(part) if isinstance(about, dict) else None
        if not isinstance(rows, list) or not all(isinstance(r, dict) and all(k in r for k in keys) for r in rows):
            raise SegplugError(f"{file}: not a COCO file: {part} must be a list of entries with {', '.join(keys)}")
        for row in rows:
            for key in keys:
                kinds = (str,) if key in ("file_name", "name") else (int,) if key in ("height", "width") else (int, str)
                if not isinstance(row[key], kinds):
                    kind = " or ".join({int: "a whole number", str: "text"}[k] for k in kinds)
                    raise SegplugError(f"{file}: {key} in {part} must be {kind}, got {str(row[key])[:40]!r}", "redo it")
    return about


def _files(path: Path) -> dict[str, list[Path]]:
    """Split -> COCO files at `path`: by folder (train/x.json), then by name (instances_train.json)."""
    if path.is_file():
        return {"all": [path]} if path.suffix.lower() == ".json" and _looks_like_coco(path) else {}
    files: dict[str, list[Path]] = defaultdict(list)
    for folder in (path, path / "annotations"):
        for file in sorted(folder.glob("*.json")):
            if _looks_like_coco(file):
                words = file.stem.lower().replace("-", "_").replace("2017", "").split("_")
                files[next((s for s, names in SPLIT_NAMES.items() if set(names) & set(words)), "all")].append(file)
    for split, names in SPLIT_NAMES.items():
        for file in (f for name in names for f in sorted((path / name).glob("*.json")) if _looks_like_coco(f)):
            files[split].append(file)
    return dict(files)


def _looks_like_coco(file: Path) -> bool:
    with file.open("rb") as handle:
        text = handle.read(HEAD)
        if b'"shapes"' in text:  # labelme's, one an image, with the image in it
            return False
        text += handle.read()
    return b'"images"' in text and b'"annotations"' in text


def _located(file: Path, split: str, name: str) -> Path | None:
    roots = [file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"]
    tried = [*roots, *(root / split for root in roots), file.parent.parent / f"{split}2017"]
    return next((root / name for root in tried if is_file(root / name)), None)
