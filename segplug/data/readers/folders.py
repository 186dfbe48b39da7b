"""images/ + masks/ with the same file stems, or train, val and test of them."""

from __future__ import annotations

from pathlib import Path

from segplug.data.finding import Finding
from segplug.data.labels import CrackFree
from segplug.data.labels.mask_file import MaskFile
from segplug.data.readers.data_yaml import data_yaml
from segplug.data.readers.found import Found, split_folders
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError

__all__ = ["read", "recognises"]


def recognises(path: Path) -> bool:
    if not path.is_dir() or data_yaml(path, masks=True) is not None:
        return False
    return any(masks.is_dir() for _, masks in split_folders(path, "masks").values())


def read(path: Path, source: DataSource) -> Found:
    splits = split_folders(path, "masks")
    if not splits:
        raise SegplugError(f"{path}: found neither images/ + masks/ nor train/images + train/masks in it")
    found, rules = Found("folders of images and masks"), source.mask_rules()
    for split, (images_dir, masks_dir) in splits.items():
        images = found.pictures(images_dir, split, source.recursive)
        masks = found.pictures(masks_dir, split, source.recursive) if masks_dir.is_dir() else {}
        if not images:
            found.findings.append(Finding("empty", f"{images_dir}: holds no image", "add some or remove it", split))
        for name in sorted(masks.keys() - images.keys()):
            text = f"{masks[name]}: no image {name}.* in {images_dir}"
            remedy = "add it or remove the mask"
            found.findings.append(Finding("no image", text, remedy, split, (str(masks[name]),)))
        found.splits[split] = [
            Sample(image.stem, image, MaskFile(masks[name], rules) if name in masks else CrackFree(image))
            for name, image in images.items()
        ]
        valid = path / "valid" if split == "all" else images_dir.parent / "valid"
        if split != "all" and images_dir.parent.name == "images":
            valid = path / "valid" / images_dir.name
        if valid.is_dir() and not (valid / "images").is_dir() and not (valid / "masks").is_dir():
            found.valid[split] = valid
    return found
