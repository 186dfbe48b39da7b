"""What a reader hands back, and the folder names all readers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from segplug.data.finding import Finding
from segplug.data.images.listing import image_files
from segplug.data.sample import Sample

__all__ = ["SPLIT_NAMES", "Found", "double_names", "images_in", "split_folders"]

# Split -> names of its folder. A folder "valid" of pictures, without images/, holds masks of labelled pixels instead.
SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass
class Found:
    """about: the labels in words. valid: folder of masks of labelled pixels of a split."""

    about: str
    splits: dict[str, list[Sample]]
    findings: list[Finding] = field(default_factory=list)
    valid: dict[str, Path] = field(default_factory=dict)


def split_folders(root: Path, labels: str, images: str = "images") -> dict[str, tuple[Path, Path]]:
    """Split name -> (images folder, labels folder): DIR/train/images or DIR/images/train; else "all": DIR/images."""
    splits: dict[str, tuple[Path, Path]] = {}
    for split, names in SPLIT_NAMES.items():
        for name in names:
            for sample in ((root / name / images, root / name / labels), (root / images / name, root / labels / name)):
                if sample[0].is_dir():
                    splits.setdefault(split, sample)
    if not splits and (root / images).is_dir():
        splits["all"] = (root / images, root / labels)
    return splits


def double_names(files: list[Path], split: str) -> tuple[dict[str, Path], list[Finding]]:
    """File stem -> first file of that stem, and a finding for each further one (a.jpg beside a.png)."""
    found: dict[str, Path] = {}
    findings = []
    for file in files:
        if file.stem in found:
            text = f"{file}: same name as {found[file.stem].name}"
            findings.append(Finding("double name", text, "keep one of them", split, (str(file),)))
        found.setdefault(file.stem, file)
    return found, findings


def images_in(folder: Path, split: str) -> tuple[dict[str, Path], list[Finding]]:
    """`double_names` of the pictures in `folder`."""
    return double_names(image_files(folder), split)
