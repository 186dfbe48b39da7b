"""What to predict: files, folders and globs become a list of files, each with a name of its own for its results."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segplug.data.images.listing import IMAGE_SUFFIXES
from segplug.errors import SegplugError

__all__ = ["VIDEO_SUFFIXES", "Source", "find_sources"]

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class Source:
    """A file and the stem of its results."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def is_tiff(self) -> bool:
        return self.path.suffix.lower() in (".tif", ".tiff")


def find_sources(given: Iterable[Path | str]) -> list[Source]:
    """The files of `given`: a file, a folder (its images and videos, not those of folders inside), a glob (** too).

    The name is the file's stem; where two files share it, the suffix and then the folder's name join it.
    Raises SegplugError on what does not exist, is empty, or cannot be told apart.
    """
    files: dict[Path, Path] = {}
    for one in given:
        for file in _files(str(one)):
            files.setdefault(file.resolve(), file)
    if not files:
        raise SegplugError("nothing to predict: name a file, a folder or a glob")
    return [Source(file, name) for file, name in zip(files.values(), _names(list(files.values())), strict=True)]


def _files(given: str) -> list[Path]:
    path = Path(given)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = _known(path.iterdir())
        if not found:
            raise SegplugError(f"{path}: holds no image and no video")
        return found
    if not glob.has_magic(given):
        raise SegplugError(f"{path}: no such file or folder")
    found = _known(Path(match) for match in glob.glob(given, recursive=True))
    if not found:
        raise SegplugError(f"{given}: matches no image and no video")
    return found


def _known(files: Iterable[Path]) -> list[Path]:
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return sorted(f for f in files if f.suffix.lower() in suffixes and not f.name.startswith(".") and f.is_file())


def _names(files: Sequence[Path]) -> list[str]:
    names = [file.stem for file in files]
    longer = (lambda f: f.name.replace(".", "_"), lambda f: f"{f.resolve().parent.name}_{f.name.replace('.', '_')}")
    for lengthen in longer:
        # Case ignored: a.jpg and A.jpg would be one file on Windows and macOS.
        shared = Counter(name.lower() for name in names)
        names = [lengthen(file) if shared[name.lower()] > 1 else name for file, name in zip(files, names, strict=True)]
    shared = Counter(name.lower() for name in names)
    for file, name in zip(files, names, strict=True):
        if shared[name.lower()] > 1:
            raise SegplugError(f"{file}: another file's results would also be called {name}; predict them separately")
    return names
