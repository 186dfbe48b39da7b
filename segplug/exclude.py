"""A text file of images that a second score leaves out, such as test crops that share a source photo with train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.data import Pair
from segplug.errors import SegplugError
from segplug.finding import some

__all__ = ["kept_images"]


def kept_images(file: Path, pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    """(n,): False where `file` lists the pair's image by name, with or without suffix, or by the end of its path.

    One image a line; empty lines and lines that begin with # are skipped. Raises SegplugError when the file cannot be
    read, lists nothing, lists a name that is no image of `pairs`, or lists all of them.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SegplugError(f"cannot read {file} ({error}); it must be a text file, one image name a line") from error
    listed = [line for line in lines if line and not line.startswith("#")]
    if not listed:
        raise SegplugError(f"{file}: lists no image; write one image name a line")
    places: dict[str, set[int]] = {}
    for index, pair in enumerate(pairs):
        parts = pair.image.parts
        for text in {pair.name, *("/".join(parts[k:]) for k in range(len(parts)))}:
            places.setdefault(text, set()).add(index)
    unknown = [line for line in listed if line.replace("\\", "/") not in places]
    if unknown:
        raise SegplugError(
            f"{file}: {some(unknown)} {'is' if len(unknown) == 1 else 'are'} no image among the {len(pairs)} scored "
            f"(such as {pairs[0].image.name}); correct the names or the split"
        )
    keep = np.ones(len(pairs), dtype=bool)
    keep[[index for line in listed for index in places[line.replace("\\", "/")]]] = False
    if not keep.any():
        raise SegplugError(f"{file}: lists all {len(pairs)} images; nothing would be left to score")
    return keep
