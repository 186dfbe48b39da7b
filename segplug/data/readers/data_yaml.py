"""The data set YAML of Ultralytics: path, train, val, test, names."""

from pathlib import Path
from typing import Any

from segplug.data.images.listing import Listing, list_images
from segplug.data.readers.found import Found
from segplug.data.text_files import read_text
from segplug.errors import SegplugError
from segplug.yaml_file import read_yaml


def data_yaml(path: Path, masks: bool) -> Path | None:
    """The YAML at or directly in `path` that lists images; `masks`: the one with masks_dir, or the one without."""
    files = [path] if path.is_file() else sorted(f for f in path.glob("*.y*ml") if f.is_file())
    for file in files:
        if file.suffix.lower() not in (".yaml", ".yml"):
            continue
        try:
            about = read_yaml(file)
        except SegplugError:
            if file == path:  # named itself
                raise
            continue
        listing = isinstance(about, dict) and "names" in about and bool({"train", "val"} & about.keys())
        if listing and ("masks_dir" in about) == masks:
            return file
    return None


def split_images(file: Path, about: dict[str, Any], found: Found, recursive: bool) -> dict[str, list[Path]]:
    """Split name -> its images. `path` starts beside the YAML; an entry is a folder, a .txt, or a list of them.

    `found` is told what they leave out.
    """
    splits = {}
    for split in ("train", "val", "test"):
        entries = about.get(split)
        if not entries:
            continue
        images: list[Path] = []
        for entry in entries if isinstance(entries, list) else [entries]:
            images += found.listed(_listed(_located(file, about.get("path"), str(entry)), recursive), split)
        splits[split] = images
    if not splits:
        raise SegplugError(f"{file}: names no train, val or test images", "add `train: images/train`")
    return splits


def swapped(image: Path, folder: str, suffix: str) -> Path:
    """The label of `image`: the last folder called images becomes `folder`, the suffix `suffix`."""
    parts = list(image.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if not places:
        raise SegplugError(f"{image}: no folder called images in its path, so its label in {folder}/ cannot be found")
    parts[places[-1]] = folder
    return Path(*parts).with_suffix(suffix)


def class_names(file: Path, about: dict[str, Any]) -> dict[int, str]:
    """`names` as class id -> name, from a list or a mapping."""
    names = about.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(k, int) for k in names):
        raise SegplugError(f"{file}: names must list the classes, such as `names: {{0: crack}}`")
    return {k: str(v) for k, v in names.items()}


def crack_classes(where: Path, names: dict[int, str], wanted: tuple[str, ...] | None) -> frozenset[int]:
    """The ids of the classes in `wanted`, by name or number; without it the only class there is."""
    listed = ", ".join(f"{k} {v}" for k, v in names.items())
    if wanted is None:
        if len(names) == 1:
            return frozenset(names)
        likely = next((k for k, v in names.items() if "crack" in v.lower()), next(iter(names)))
        raise SegplugError(f"{where}: several classes ({listed})", f"say which are crack, as --classes {likely}")
    ids: set[int] = set()
    for word in wanted:
        matching = {k for k, v in names.items() if v.lower() == word.lower() or str(k) == word}
        if not matching:
            raise SegplugError(f"{where}: no class {word!r}", f"found: {listed}")
        ids |= matching
    return frozenset(ids)


def read_data_yaml(file: Path) -> dict[str, Any]:
    """The contents of a data set YAML. Raises SegplugError on one that is not a mapping."""
    about = read_yaml(file)
    if not isinstance(about, dict):
        raise SegplugError(f"{file}: not a data set YAML", "it needs train, val and names")
    return about


def _located(file: Path, root: Any, entry: str) -> Path:
    tried = [file.parent / str(root or ".") / entry, file.parent / entry]
    for place in tried:
        if exists(place):
            return place
    raise SegplugError(f"{file}: no {tried[0]}", f"correct `path` or `{entry}`")


def exists(place: Path) -> bool:
    """Also of names that no file can have."""
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that is too long, or with NUL
        return False


def _listed(place: Path, recursive: bool) -> Listing:
    if place.is_dir():
        inner = place / "images"
        return list_images(inner if inner.is_dir() else place, recursive)
    if place.suffix != ".txt":
        raise SegplugError(f"{place}: neither a folder nor a .txt list of images")
    listing = Listing(place)
    for line in filter(None, map(str.strip, read_text(place).splitlines())):
        listing.add(place.parent / line)
    return listing
