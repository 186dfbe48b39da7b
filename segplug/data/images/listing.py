"""Which files of a folder are images, what is left out of it and why, and a name of its own for each."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from segplug.data.finding import some
from segplug.errors import SegplugError

# Suffix -> package that reads it, and the extra of ours that installs that; OpenCV reads the others.
EXTRAS = {".heic": ("pillow_heif", "heif"), ".heif": ("pillow_heif", "heif"), ".dng": ("rawpy", "raw")}
RESULTS = ("predictions.csv", "measurements.csv")  # a sub-folder with one of these holds no photos but our results
IMAGE_SUFFIXES = frozenset(
    f".{name}" for name in "jpg jpeg jpe jfif mpo png bmp dib tif tiff webp jp2 gif avif ppm pgm pbm pnm".split()
) | frozenset(EXTRAS)


@dataclass
class Listing:
    """The images of `folder` by path. unread: images for which a package is missing. other: what else lies there."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)

    def add(self, file: Path, also: Collection[str] = ()) -> None:
        """also: further suffixes to take."""
        suffix = file.suffix.lower()
        if suffix in IMAGE_SUFFIXES or suffix in also:
            lacking = suffix in EXTRAS and find_spec(EXTRAS[suffix][0]) is None
            (self.unread if lacking else self.files).append(file)
        else:
            self.other[suffix or "without suffix"] += 1

    def left_out(self) -> str:
        """One line, empty where nothing was left out: how many files of which kind, and why."""
        kinds = Counter(file.suffix.lower() for file in self.unread)
        parts = [f"{n} {kind} (pip install 'yoloplug[{EXTRAS[kind][1]}]' to read them)" for kind, n in kinds.items()]
        folders = self.other["/"]
        parts += [f"{folders} sub-folder{'s' * (folders > 1)} (--no-recursive)"] if folders else []
        by_count = sorted(self.other.items(), key=lambda item: (-item[1], item[0]))
        kept = [f"{n} {kind}" for kind, n in by_count if kind not in ("/", "results")]
        parts += [f"{self.other['results']} folders of segplug's results"] if self.other["results"] else []
        parts += [f"{some(kept)} (no image)"] if kept else []
        return f"{self.folder}: left out {', '.join(parts)}" if parts else ""


def list_images(
    folder: Path, recursive: bool = True, also: Collection[str] = (), without: Path | None = None
) -> Listing:
    """Image files in `folder` and, if `recursive`, in the folders below it; hidden ones are passed over.

    also: further suffixes to take. without: a folder, such as one for results, that is not gone into.
    """
    if not folder.is_dir():
        raise SegplugError(f"{folder}: no such folder")
    found = Listing(folder)
    for file in _below(folder, recursive, None if without is None else without.resolve(), found.other):
        found.add(file, also)
    found.files.sort()
    return found


def image_files(folder: Path, recursive: bool = True) -> list[Path]:
    """The files of `list_images`."""
    return list_images(folder, recursive).files


def unique_names(files: Sequence[Path]) -> list[str]:
    """The stems; where two are the same, all paths below the files' common folder, joined by "-"."""
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        parts = [file.absolute().with_suffix("").parts for file in files]
        shared = next((i for i, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), 0)
        names = ["-".join(p[shared:]) for p in parts]
    return names


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """`unique_names` -> file. Raises SegplugError when two share a name (a.jpg, a.png): one would hide the other."""
    found: dict[str, Path] = {}
    files = list(files)
    for name, file in zip(unique_names(files), files, strict=True):
        if name in found:
            raise SegplugError(f"{file}: same name as {found[name].name}", "keep one of them")
        found[name] = file
    return found


def _below(folder: Path, recursive: bool, without: Path | None, other: Counter[str]) -> Iterator[Path]:
    seen = set()  # linked folders are followed, but no circle
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        results = place != str(folder) and any(name in names for name in RESULTS)
        other["results"] += results
        if results or real in seen or (without is not None and real == str(without)):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if not recursive:
            other["/"] += len(folders)
            folders.clear()
        yield from (Path(place, name) for name in names if not name.startswith("."))
