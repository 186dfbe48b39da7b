"""Which files of a folder are images, and that no two share a name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from segplug.errors import SegplugError

__all__ = ["IMAGE_SUFFIXES", "by_stem", "image_files"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def image_files(folder: Path) -> list[Path]:
    """Image files directly in `folder`, by name. Hidden files are left out."""
    if not folder.is_dir():
        raise SegplugError(f"{folder}: no such folder")
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith("."))


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """File stem -> file. Raises SegplugError when two files share a stem (a.jpg, a.png): one would hide the other."""
    found: dict[str, Path] = {}
    for file in files:
        if file.stem in found:
            raise SegplugError(f"{file}: same name as {found[file.stem].name}; keep one of them")
        found[file.stem] = file
    return found
