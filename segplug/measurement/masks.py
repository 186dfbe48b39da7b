"""The masks to measure: which files, and what their values mean."""

from pathlib import Path

import numpy as np

from segplug.arrays import Pixels
from segplug.data.images.listing import list_images
from segplug.data.images.reading import further_pages
from segplug.data.labels.mask_encoding import Encoding, MaskRules, Stored, find_encoding, refuse_inverted
from segplug.data.labels.mask_file import read_mask_values, stored
from segplug.errors import SegplugError
from segplug.notes import Note


def find_masks(source: Path, recursive: bool, out: Path, note: Note) -> dict[str, Path]:
    """Path below the folder without suffix -> mask. Raises SegplugError when there is none."""
    if source.is_file():
        return {source.stem: source}
    if not source.exists():
        raise SegplugError(f"{source}: no such file or folder")
    inner = source / "masks"
    if inner.is_dir() and not list_images(source, recursive=False).files:
        source = inner
    listing = list_images(source, recursive, without=out)
    if line := listing.left_out():
        note(line)
    if not listing.files:
        raise SegplugError(f"{source}: holds no mask, neither itself nor in masks/; `segplug predict` writes some")
    found: dict[str, Path] = {}
    for file in listing.files:
        first = found.setdefault(file.relative_to(source).with_suffix("").as_posix(), file)
        if file is not first:
            raise SegplugError(f"{file}: same name as {first.name}; keep one of them")
    return found


class Masks:
    """Mask files by name, read once to learn what their values mean: by `rules`, or each by itself.

    failed: name -> why a file cannot be read. Raises SegplugError where the rules fit no file, and where most masks are
    mostly crack and no rule says that this is right.
    """

    def __init__(self, files: dict[str, Path], rules: MaskRules, note: Note) -> None:
        self.files = files
        self.failed: dict[str, str] = {}
        self._encodings: dict[str, Encoding] = {}
        said = rules.two_values is not None or rules.crack_values is not None
        seen: dict[str, Stored] = {}
        for name, file in files.items():
            try:
                seen[name] = stored(file, read_mask_values(file))
                if not said:
                    self._encodings[name] = find_encoding([seen[name]], rules)
            except (SegplugError, OSError) as error:
                self.failed[name] = str(error)
                seen.pop(name, None)
            if pages := further_pages(file):
                note(f"{file}: the first of its {pages + 1} pages is measured; save the others as files of their own")
        if said and seen:
            self._encodings = dict.fromkeys(seen, find_encoding(list(seen.values()), rules))
        refuse_inverted(list(seen.values()), [self._encodings[name] for name in seen], rules)

    def read(self, name: str) -> Pixels:
        """(H, W) of 0 and 1; pixels without label are 0. Raises SegplugError on a file that cannot be read."""
        if name in self.failed:
            raise SegplugError(self.failed[name])
        return (self._encodings[name].table[read_mask_values(self.files[name])] == 1).astype(np.uint8)
