"""CrackForest (CFD): image/ or images/, and groundTruth/ with a .mat of groundTruth.Segmentation for each."""

from pathlib import Path

from segplug.data.labels import CrackFree
from segplug.data.labels.mat_file import MatFile
from segplug.data.readers.found import Found
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError

LABELS = "groundTruth"


def recognises(path: Path) -> bool:
    return any((path / LABELS).glob("*.mat")) and _images(path) is not None


def read(path: Path, source: DataSource) -> Found:
    folder = _images(path)
    if folder is None or not (path / LABELS).is_dir():
        raise SegplugError(f"{path}: no image/ or images/ beside {LABELS}/", "name the folder that holds both")
    found = Found("CFD .mat regions")
    images = found.pictures(folder, "all", source.recursive)
    mats = {file.stem: file for file in sorted((path / LABELS).glob("*.mat"))}
    for stem in sorted(mats.keys() - images.keys()):
        text = f"{mats[stem]}: no image {stem}.* in {folder}"
        found.lacks("no image", text, "add it or remove the label", "all", mats[stem])
    crack = source.mask_rules().crack_values
    found.splits["all"] = [
        Sample(image.stem, image, MatFile(mats[stem], crack) if stem in mats else CrackFree(image))
        for stem, image in images.items()
    ]
    return found


def _images(path: Path) -> Path | None:
    return next((path / name for name in ("image", "images") if (path / name).is_dir()), None)
