"""Pictures and masks in two folders, or side by side in one, under the names that public data sets use.

Masks bear their images' names, alone or all with the same addition (x.jpg, x_mask.png).
"""

import re
from collections import Counter
from pathlib import Path

from segplug.data.images.listing import IMAGE_SUFFIXES, image_files, list_images
from segplug.data.labels import CrackFree
from segplug.data.labels.mask_encoding import MaskRules
from segplug.data.labels.mask_file import MaskFile
from segplug.data.readers.data_yaml import data_yaml
from segplug.data.readers.found import SPLIT_NAMES, Found, split_dirs, split_folders
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.text_files import read_text
from segplug.errors import SegplugError

IMAGES = ("images", "image", "img", "imgs", "JPEGImages")
MASKS = ("masks", "mask", "lab", "gt", "groundtruth", "ground_truth", "SegmentationClass")
ADDITION = re.compile(r"[ ._-]?[A-Za-z][A-Za-z ._-]*", re.ASCII)  # what a mask's name has beside its image's
BESIDE = re.compile(r"(.+)[ ._-](?:mask|label|lab|gt|seg|annotation)s?", re.IGNORECASE)


def recognises(path: Path) -> bool:
    if not path.is_dir() or data_yaml(path, masks=True) is not None:
        return False
    return bool(_folders(path) or any(_beside(image_files(d), d)[1] for d in split_dirs(path).values()))


def read(path: Path, source: DataSource) -> Found:
    found, rules = Found("folders of images and masks"), source.mask_rules()
    splits = _folders(path)
    if not splits:
        for split, folder in split_dirs(path).items():
            images, masks = _beside(found.listed(list_images(folder, source.recursive), split), folder)
            if masks:
                found.about = "images and masks side by side"
                _add(found, split, images, masks, rules, folder)
        if found.splits:
            return found
    splits = splits or split_folders(path, MASKS[0])
    if not splits:
        raise SegplugError(f"{path}: found neither images/ + masks/ nor train/images + train/masks in it")
    for split, (images_dir, masks_dir) in splits.items():
        images = found.pictures(images_dir, split, source.recursive)
        masks = found.pictures(masks_dir, split, source.recursive) if masks_dir.is_dir() else {}
        if not images:
            found.lacks("empty", f"{images_dir}: holds no image", "add some or remove it", split)
        lists = _voc_lists(path) if split == "all" else {}
        for part, names in lists.items():
            for name in names - images.keys():
                text = f"{path}: no image {name}.* in {images_dir}, but {part}.txt lists it"
                found.lacks("no image", text, "add it or correct the list", part, name)
            chosen, their = ({n: files[n] for n in sorted(names & files.keys())} for files in (images, masks))
            _add(found, part, chosen, their, rules, images_dir)
        if not lists:
            _add(found, split, images, masks, rules, images_dir)
        valid = path / "valid" if split == "all" else images_dir.parent / "valid"
        if split != "all" and images_dir.parent.name in IMAGES:
            valid = path / "valid" / images_dir.name
        if valid.is_dir() and not any((valid / name).is_dir() for name in (*IMAGES, *MASKS)):
            found.valid |= {part: valid for part in lists or (split,)}
    return found


def _add(
    found: Found, split: str, images: dict[str, Path], masks: dict[str, Path], rules: MaskRules, folder: Path
) -> None:
    """The samples of a split; masks without image are findings, with the image that nearly fits."""
    masks, called = _by_image(masks, images)
    if called:
        found.notes.append(f"masks are called {called}")
    for name in sorted(masks.keys() - images.keys()):
        near = next((name[:cut] for cut in range(len(name) - 1, 0, -1) if name[:cut] in images), None)
        text = f"{masks[name]}: no image {name}.* in {folder}" + (f", but {images[near].name}" if near else "")
        found.lacks("no image", text, "add it or remove the mask", split, masks[name])
    found.splits[split] = [
        Sample(image.stem, image, MaskFile(masks[name], rules) if name in masks else CrackFree(image))
        for name, image in images.items()
    ]


def _by_image(masks: dict[str, Path], images: dict[str, Path]) -> tuple[dict[str, Path], str]:
    """Masks by their image's name where all names have the same addition, and how masks are then called."""
    if not masks or masks.keys() & images.keys():
        return masks, ""
    additions: Counter[tuple[str, str]] = Counter()
    for name in masks:
        place, _, stem = name.rpartition("/")
        place += "/" * bool(place)
        for cut in range(1, len(stem)):
            if place + stem[:cut] in images and ADDITION.fullmatch(stem[cut:]):
                additions["", stem[cut:]] += 1
            if place + stem[cut:] in images and ADDITION.fullmatch(stem[:cut]):
                additions[stem[:cut], ""] += 1
    if not additions:
        return masks, ""
    (before, after), _ = additions.most_common(1)[0]
    renamed = {}
    for name, file in masks.items():
        place, slash, stem = name.rpartition("/")
        fits = stem.startswith(before) and stem.endswith(after)
        renamed[place + slash + stem[len(before) : len(stem) - len(after)] if fits else name] = file
    return renamed, f"{before}NAME{after}"


def _folders(path: Path) -> dict[str, tuple[Path, Path]]:
    """Split -> (images folder, masks folder) by the first pair of names of which both are there."""
    for images in IMAGES:
        for masks in MASKS:
            splits = split_folders(path, masks, images)
            canonical = (images, masks) == (IMAGES[0], MASKS[0])
            if any(pair[1].is_dir() and (canonical or _has_picture(pair[1])) for pair in splits.values()):
                return splits
    return {}


def _has_picture(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.rglob("*"))


def _voc_lists(path: Path) -> dict[str, set[str]]:
    """Split -> names of its images, as Pascal VOC lists them; empty without lists."""
    files = {split: path / "ImageSets" / "Segmentation" / f"{split}.txt" for split in SPLIT_NAMES}
    return {split: set(read_text(file).split()) for split, file in files.items() if file.is_file()}


def _beside(files: list[Path], folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and masks by their path below `folder`, of x.jpg beside x_mask.png or x.png."""
    named = {file: file.relative_to(folder).with_suffix("").as_posix() for file in files}
    names = set(named.values())
    photos = {name for file, name in named.items() if file.suffix.lower() in (".jpg", ".jpeg")}
    masks = {}
    for file, name in named.items():
        match = BESIDE.fullmatch(name)
        if match and match[1] in names:
            masks[match[1]] = file
        elif name in photos and file.suffix.lower() in (".png", ".bmp"):
            masks[name] = file
    taken = set(masks.values())
    return {name: file for file, name in named.items() if file not in taken}, masks
