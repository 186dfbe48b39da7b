"""What to predict: files, folders and globs become a list of files, each with a name of its own for its results."""

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segplug.data.images.listing import IMAGE_SUFFIXES, list_images
from segplug.errors import SegplugError
from segplug.notes import Note, silent

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class Source:
    """A file, the name of its results (`wall/a` for `a.jpg` in a sub-folder), and where it lies in the folder given."""

    path: Path
    name: str
    place: str

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def is_tiff(self) -> bool:
        return self.path.suffix.lower() in (".tif", ".tiff")


def find_sources(
    given: Iterable[Path | str], recursive: bool = True, without: Path | None = None, note: Note = silent
) -> list[Source]:
    """The files of `given`: a file, a folder (its images and videos, and those of folders in it), a glob (** too).

    The name is the file's stem, below the folder given; where two files share it, the suffix and then the folder's name
    join it. without: a folder that is not gone into, such as that of the results. note: hears what is left out.
    Raises SegplugError on what does not exist, is empty, or cannot be told apart.
    """
    files: dict[Path, tuple[Path, Path]] = {}
    for one in given:
        for file, folder in _files(str(one), recursive, without, note):
            files.setdefault(file.resolve(), (file, folder))
    if not files:
        raise SegplugError("nothing to predict: name a file, a folder or a glob")
    places = [file.relative_to(folder) for file, folder in files.values()]
    names = _names([file for file, _ in files.values()], places)
    return [
        Source(file, name, place.as_posix())
        for (file, _), name, place in zip(files.values(), names, places, strict=True)
    ]


def _files(given: str, recursive: bool, without: Path | None, note: Note) -> list[tuple[Path, Path]]:
    """Each with the folder that its name begins at."""
    path = Path(given)
    if path.is_file():
        return [(path, path.parent)]
    if path.is_dir():
        listing = list_images(path, recursive, VIDEO_SUFFIXES, without)
        left_out = listing.left_out()
        if not listing.files:
            raise SegplugError(f"{path}: holds no image and no video" + (f"; {left_out}" if left_out else ""))
        if left_out:
            note(left_out)
        return [(file, path) for file in listing.files]
    if not glob.has_magic(given):
        raise SegplugError(f"{path}: no such file or folder")
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    matches = sorted(Path(match) for match in glob.glob(given, recursive=True))
    found = [file for file in matches if file.suffix.lower() in suffixes and file.is_file()]
    if not found:
        raise SegplugError(f"{given}: matches no image and no video")
    return [(file, file.parent) for file in found]


def _names(files: Sequence[Path], places: Sequence[Path]) -> list[str]:
    names = [place.with_suffix("").as_posix() for place in places]
    with_suffix = [place.with_name(place.name.replace(".", "_")) for place in places]
    above = [file.resolve().parent.name for file in files]
    in_folder = [p.with_name(f"{folder}_{p.name}") for p, folder in zip(with_suffix, above, strict=True)]
    for longer in (with_suffix, in_folder):
        # Case ignored: a.jpg and A.jpg would be one file on Windows and macOS.
        shared = Counter(name.lower() for name in names)
        choice = zip(longer, names, strict=True)
        names = [long.as_posix() if shared[name.lower()] > 1 else name for long, name in choice]
    shared = Counter(name.lower() for name in names)
    for file, name in zip(files, names, strict=True):
        if shared[name.lower()] > 1:
            raise SegplugError(f"{file}: another file's results would also be called {name}; predict them separately")
    return names
