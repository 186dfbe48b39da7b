"""Everything behind `--data`: `open_data` recognises the format and returns the labelled images of each split."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from segplug.data.finding import Finding, some
from segplug.data.groups import read_groups
from segplug.data.images.listing import by_name, image_files, unique_names
from segplug.data.labels import CrackFree
from segplug.data.readers import cfd, coco, csv_list, folders, labelme, semantic, yolo
from segplug.data.readers.data_yaml import exists
from segplug.data.readers.found import SPLIT_NAMES, Found
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError

__all__ = ["CrackData", "open_data"]


class Reader(NamedTuple):
    """recognises(path) says whether the data at `path` looks like its format; read(path, source) finds the samples."""

    wanted: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, DataSource], Found]


READERS: dict[str, Reader] = {
    "folders": Reader("images/ + masks/", folders.recognises, folders.read),
    "csv": Reader("a .csv list", csv_list.recognises, csv_list.read),
    "yolo": Reader("images/ + labels/*.txt", yolo.recognises, yolo.read),
    "coco": Reader("a COCO .json", coco.recognises, coco.read),
    "cfd": Reader("images + groundTruth/*.mat", cfd.recognises, cfd.read),
    "labelme": Reader("images beside labelme's .json", labelme.recognises, labelme.read),
    "semantic": Reader("a YAML with masks_dir", semantic.recognises, semantic.read),
}


MASKS_ONLY = ("mask_values", "crack_values", "ignore_value")
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {  # of settings about labels, on data that have no such labels
    "folders": ("classes",),
    "csv": ("classes",),
    "cfd": ("classes", "mask_values", "ignore_value"),
    "yolo": MASKS_ONLY,
    "coco": MASKS_ONLY,
    "labelme": MASKS_ONLY,
    "semantic": MASKS_ONLY,
}


@dataclass(frozen=True)
class CrackData:
    """What `source` holds, opened once and passed on to all that read it.

    format: key of the reader. about: the labels in words. splits: "train", "val", "test", or "all" alone.
    """

    source: DataSource
    format: str
    about: str
    splits: dict[str, list[Sample]]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def samples(self, split: str) -> list[Sample]:
        """The samples of one split by name. Raises SegplugError on an unknown split and on anything wrong in it."""
        if split not in self.splits:
            found = ", ".join(self.splits)
            raise SegplugError(f"{self.source.data}: no split {split!r}; found: {found}", "name one by --split")
        Finding.refuse([f for f in self.findings if f.split in (None, split)])
        return self.splits[split]

    def __str__(self) -> str:
        total = sum(map(len, self.splits.values()))
        parts = "" if "all" in self.splits else f" ({', '.join(f'{s} {len(p)}' for s, p in self.splits.items())})"
        return "; ".join([f"data: {self.about}, {total} images{parts}", *self.notes])


def open_data(source: CrackData | DataSource | Path | str) -> CrackData:
    """Find the labelled images; no picture is opened. What is open already is given back.

    Raises SegplugError when nothing or more than one format is recognised. What is broken is kept as `findings`; asking
    for their split raises.
    """
    if isinstance(source, CrackData):
        return source
    source = DataSource.of(source)
    root = Path(source.data)
    if not source.data.strip():
        raise SegplugError("data is empty", "name a folder or file")
    if not exists(root):
        raise SegplugError(f"{root}: no such data folder")
    name = source.data_format if source.data_format != "auto" else _recognise(root)
    found = READERS[name].read(root, source)
    idle = [key for key in WITHOUT_EFFECT[name] if getattr(source, key) is not None]
    found.notes += [f"{key} has no effect on {READERS[name].wanted}" for key in idle]
    for split, samples in found.splits.items():
        names = unique_names([sample.image for sample in samples])
        named = (replace(sample, name=name) for sample, name in zip(samples, names, strict=True))
        samples[:] = sorted(named, key=lambda sample: sample.name)
        if not samples and not any(f.split in (None, split) for f in found.findings):
            found.lacks("empty", f"{root}: split {split} holds no image", "fill or remove it", split)
    order = [split for split in (*SPLIT_NAMES, "all") if split in found.splits]
    splits = {split: _with_valid(found, split, source) for split in order}
    if source.groups is not None:
        splits = _with_groups(splits, Path(source.groups), found)
    _check_unlabelled(splits, source, found)
    return CrackData(source, name, found.about, splits, tuple(found.findings), tuple(dict.fromkeys(found.notes)))


def _recognise(root: Path) -> str:
    names = [name for name, reader in READERS.items() if reader.recognises(root)]
    if len(names) == 1:
        return names[0]
    if not names:
        wanted = ", ".join(reader.wanted for reader in READERS.values())
        raise SegplugError(
            f"{root}: found none of {wanted}; train/, val/, test/ may stand around or inside the folders{_nearly(root)}"
        )
    raise SegplugError(f"{root}: could be {' or '.join(names)}", f"say which, as --data-format {names[0]}")


def _nearly(root: Path) -> str:
    """The folders with pictures in `root`, for a name that is nearly one of those wanted."""
    if not root.is_dir():
        return ""
    files = image_files(root)
    held = Counter(f"{file.relative_to(root).parent.as_posix()}/" for file in files)
    held.pop("./", None)
    if not held:
        return f". It holds {len(files)} images and no labels" if files else ""
    folders = ", ".join(f"{folder} ({number} images)" for folder, number in held.most_common(4))
    return f". It holds {folders}: rename them images/ and masks/, or name the files in a .csv of image,mask"


def _with_valid(found: Found, split: str, source: DataSource) -> list[Sample]:
    """The samples of a split with their masks of labelled pixels."""
    samples = found.splits[split]
    folder = Path(source.ignore) if source.ignore is not None else found.valid.get(split)
    if folder is None:
        return samples
    files = by_name(image_files(folder, source.recursive))
    valid = [files.get(sample.name, files.get(sample.image.stem)) for sample in samples]
    missing = [sample for sample, file in zip(samples, valid, strict=True) if file is None]
    if missing:
        text = f"{folder}: no mask {missing[0].name}.* of labelled pixels"
        found.lacks("no valid mask", text, "add one (all 255 if all are)", split, *(p.image for p in missing))
    found.notes.append(f"{folder} marks the labelled pixels")
    return [replace(sample, valid=file) for sample, file in zip(samples, valid, strict=True)]


def _with_groups(splits: dict[str, list[Sample]], table: Path, found: Found) -> dict[str, list[Sample]]:
    """The samples with the groups of the table; where training takes its images from, each must have one."""
    groups = read_groups(table)
    result = {}
    for split, samples in splits.items():
        named = [replace(p, group=groups.get(p.image.name, groups.get(p.image.stem, p.group))) for p in samples]
        bare = [sample.image for sample in named if sample.group is None]
        if bare and split in ("train", "all"):
            text = f"{table}: no row for {some(image.name for image in bare)}"
            found.lacks("no group", text, "add image,group for each", split, *bare)
        elif bare:
            found.notes.append(f"{len(bare)} of {len(samples)} images of {split} have no group")
        result[split] = named
    return result


def _check_unlabelled(splits: dict[str, list[Sample]], source: DataSource, found: Found) -> None:
    for split, samples in splits.items():
        bare = [sample.image for sample in samples if isinstance(sample.label, CrackFree)]
        if bare and source.unlabelled == "crack-free":
            found.notes.append(f"{len(bare)} without label in {split} count as crack-free")
        elif bare:
            shown = some(image.name for image in bare)
            text = f"{bare[0]}: no label; {len(bare)} of {len(samples)} images have none: {shown}"
            remedy = "label or remove them, or say --unlabelled crack-free if they show no crack"
            found.lacks("unlabelled", text, remedy, split, *bare)
