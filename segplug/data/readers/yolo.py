"""Ultralytics' segment labels: a text file of outlines for each image, with or without the data set's YAML."""

from pathlib import Path

from segplug.data.labels import CrackFree
from segplug.data.labels.outlines import YoloFile
from segplug.data.readers.data_yaml import class_names, crack_classes, data_yaml, read_data_yaml, split_images, swapped
from segplug.data.readers.found import Found, split_folders
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError


def recognises(path: Path) -> bool:
    if data_yaml(path, masks=False) is not None:
        return True
    return path.is_dir() and any(any(labels.glob("*.txt")) for _, labels in split_folders(path, "labels").values())


def read(path: Path, source: DataSource) -> Found:
    found = Found("YOLO outlines")
    file = data_yaml(path, masks=False)
    if file is not None:
        about = read_data_yaml(file)
        images = split_images(file, about, found, source.recursive)
        crack: frozenset[int] | None = crack_classes(file, class_names(file, about), source.class_list())
    else:
        splits = split_folders(path, "labels") if path.is_dir() else {}
        if not splits:
            raise SegplugError(f"{path}: no YAML with train, val and names, and no images/ + labels/*.txt in it")
        images = {
            split: list(found.pictures(folder, split, source.recursive).values())
            for split, (folder, _) in splits.items()
        }
        crack = None
    for split, files in images.items():
        if file is not None:
            files = found.one_each(files, split)
        labels = {swapped(image, "labels", ".txt"): image for image in files}
        found.splits[split] = [
            Sample(image.stem, image, YoloFile(text, crack) if text.is_file() else CrackFree(image))
            for text, image in labels.items()
        ]
        for folder in {text.parent for text in labels}:
            for text in sorted(folder.glob("*.txt")):
                if text not in labels and text.name != "classes.txt":
                    message = f"{text}: no image {text.stem}.* among those of {split}"
                    found.lacks("no image", message, "add it or remove the label", split, text)
    if crack is None:
        _only_class(path, found, source)
    return found


def _only_class(path: Path, found: Found, source: DataSource) -> None:
    """Without a YAML the numbers in the labels are the classes; broken lines are left to the reading of the samples."""
    numbers: set[int] = set()
    labels = [p.label for samples in found.splits.values() for p in samples if isinstance(p.label, YoloFile)]
    for label in labels:
        numbers |= {int(line.split()[0]) for line in _lines(label.path) if line.split()[0].isdigit()}
    crack = crack_classes(path, {n: "without name" for n in sorted(numbers)} or {0: "none"}, source.class_list())
    for split, samples in found.splits.items():
        found.splits[split] = [
            Sample(p.name, p.image, YoloFile(p.label.path, crack) if isinstance(p.label, YoloFile) else p.label)
            for p in samples
        ]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
