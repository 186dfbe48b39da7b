"""What a reader hands back, and the folder names all readers share."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from segplug.data.finding import Finding
from segplug.data.images.listing import EXTRAS, Listing, list_images
from segplug.data.sample import Sample

# Split -> names of its folder. A folder "valid" of pictures, without images/, holds masks of labelled pixels instead.
SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass
class Found:
    """about: the labels in words. valid: folder of masks of labelled pixels of a split. notes: what else to say."""

    about: str
    splits: dict[str, list[Sample]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    valid: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pictures(self, folder: Path, split: str, recursive: bool, labels: str = "") -> dict[str, Path]:
        """Path below `folder` without suffix -> picture. What is left out is noted, doubles are findings.

        labels: suffix of the labels that lie beside the pictures.
        """
        listing = list_images(folder, recursive)
        listing.other.pop(labels, None)
        kept = self.one_each(self.listed(listing, split), split)
        return {file.relative_to(folder).with_suffix("").as_posix(): file for file in kept}

    def lacks(self, kind: str, text: str, remedy: str, split: str, *files: object) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, text, remedy, split, tuple(map(str, files))))

    def listed(self, listing: Listing, split: str) -> list[Path]:
        """Its pictures; what is left out is noted, pictures that no package reads are findings."""
        if line := listing.left_out():
            self.notes.append(line)
        for suffix in sorted({file.suffix.lower() for file in listing.unread}):
            files = [file for file in listing.unread if file.suffix.lower() == suffix]
            text = f"{files[0]}: no package reads {suffix}, {len(files)} of them"
            self.lacks("unread format", text, f"pip install 'yoloplug[{EXTRAS[suffix][1]}]'", split, *files)
        return listing.files

    def one_each(self, files: Iterable[Path], split: str) -> list[Path]:
        """The first file of each path without suffix; a finding for each further one (a.jpg, a.png)."""
        found: dict[Path, Path] = {}
        for file in files:
            first = found.setdefault(file.with_suffix(""), file)
            if file is not first:
                self.lacks("double name", f"{file}: same name as {first.name}", "keep one of them", split, file)
        return list(found.values())


def split_folders(root: Path, labels: str, images: str = "images") -> dict[str, tuple[Path, Path]]:
    """Split -> (images, labels): DIR/train/images, DIR/images/train or DIR/train_images; "all": DIR/images."""
    splits: dict[str, tuple[Path, Path]] = {}
    for split, names in SPLIT_NAMES.items():
        for name in names:
            for pair in (
                (root / name / images, root / name / labels),
                (root / images / name, root / labels / name),
                (root / f"{name}_{images}", root / f"{name}_{labels}"),
            ):
                if pair[0].is_dir():
                    splits.setdefault(split, pair)
    if not splits and (root / images).is_dir():
        splits["all"] = (root / images, root / labels)
    return splits


def split_dirs(path: Path) -> dict[str, Path]:
    """Split -> its folder; "all": `path` itself, if that is one."""
    named = ((split, path / name) for split, names in SPLIT_NAMES.items() for name in names)
    return {split: folder for split, folder in named if folder.is_dir()} or ({"all": path} if path.is_dir() else {})
