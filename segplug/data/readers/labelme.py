"""labelme: beside each image a .json of shapes, by label."""

from pathlib import Path

from segplug.data.labels import CrackFree
from segplug.data.labels.outlines import LabelmeFile
from segplug.data.readers.data_yaml import crack_classes
from segplug.data.readers.found import Found, split_dirs
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError

HEAD = 4096


def recognises(path: Path) -> bool:
    return path.is_dir() and any(_looks_like_labelme(folder) for folder in split_dirs(path).values())


def read(path: Path, source: DataSource) -> Found:
    found = Found("labelme shapes")
    names: set[str] = set()
    labels: dict[Path, LabelmeFile] = {}
    for split, folder in split_dirs(path).items():
        for image in found.pictures(folder, split, source.recursive, ".json").values():
            file = image.with_suffix(".json")
            if file.is_file():
                labels[image] = LabelmeFile(file, None)
                names |= labels[image].names()
            found.splits.setdefault(split, []).append(Sample(image.stem, image, CrackFree(image)))
    if not labels:
        raise SegplugError(f"{path}: no image with a labelme .json of its name beside it, nor in train/, val/, test/")
    listed = dict(enumerate(sorted(names)))
    crack = crack_classes(path, listed or {0: "none"}, source.class_list())
    wanted = frozenset(name for number, name in listed.items() if number in crack)
    for split, samples in found.splits.items():
        found.splits[split] = [
            Sample(s.name, s.image, LabelmeFile(labels[s.image].path, wanted) if s.image in labels else s.label)
            for s in samples
        ]
    return found


def _looks_like_labelme(folder: Path) -> bool:
    file = next(iter(sorted(folder.glob("*.json"))), None)
    if file is None:
        return False
    with file.open("rb") as handle:
        return b'"shapes"' in handle.read(HEAD)
