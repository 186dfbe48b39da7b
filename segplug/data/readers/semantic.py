"""Ultralytics' semantic layout: a YAML with masks_dir, masks of class ids, 255 = no label.

One name: 0 is background and 1 that class. Several names: the ids are the names' own; `classes` says which are crack.
"""

from pathlib import Path
from typing import Any

from segplug.data.labels import NO_LABEL, CrackFree
from segplug.data.labels.mask_file import MappedMask
from segplug.data.readers.data_yaml import class_names, crack_classes, data_yaml, read_data_yaml, split_images, swapped
from segplug.data.readers.found import Found
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError

MASK_SUFFIXES = (".png", ".PNG", ".bmp", ".tif")


def recognises(path: Path) -> bool:
    return data_yaml(path, masks=True) is not None


def read(path: Path, source: DataSource) -> Found:
    file = data_yaml(path, masks=True)
    if file is None:
        raise SegplugError(f"{path}: no YAML with train, val, names and masks_dir")
    about = read_data_yaml(file)
    table = _table(file, about, source)
    found = Found("Ultralytics semantic masks")
    for split, images in split_images(file, about, found, source.recursive).items():
        found.splits[split] = [_sample(image, str(about["masks_dir"]), table) for image in images]
    return found


def _table(file: Path, about: dict[str, Any], source: DataSource) -> dict[int, int]:
    """Stored value -> 0, 1 or NO_LABEL, through label_mapping and names."""
    names = class_names(file, about)
    if len(names) == 1:
        meaning = {0: 0, 1: 1}
    else:
        crack = crack_classes(file, names, source.class_list())
        meaning = {number: int(number in crack) for number in names}
    meaning[255] = NO_LABEL
    mapping = about.get("label_mapping") or {}
    if not isinstance(mapping, dict):
        raise SegplugError(f"{file}: label_mapping must be like {{255: 1}}, got {mapping!r}")
    table = dict(meaning)
    for raw, target in mapping.items():
        number = 255 if target == "ignore_label" else target
        if not isinstance(raw, int) or not isinstance(number, int) or number not in meaning:
            raise SegplugError(f"{file}: label_mapping {raw}: {target} leads to no class id ({sorted(meaning)})")
        if 0 <= raw <= 255:
            table[raw] = meaning[number]
    return table


def _sample(image: Path, masks_dir: str, table: dict[int, int]) -> Sample:
    masks = (swapped(image, masks_dir, suffix) for suffix in MASK_SUFFIXES)
    mask = next((file for file in masks if file.is_file()), None)
    return Sample(image.stem, image, MappedMask(mask, table) if mask else CrackFree(image))
