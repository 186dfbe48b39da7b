"""A text file of images that a second score leaves out, such as test crops that share a source photo with train."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segplug.arrays import Mask
from segplug.data.finding import some
from segplug.errors import SegplugError


def kept_images(file: Path, images: Sequence[Path]) -> Mask:
    """(n,): False where `file` lists the image by name or the end of its path, suffix or not.

    One image a line; empty lines and lines that begin with # are skipped. Raises SegplugError when the file cannot be
    read, lists nothing, lists a name that is none of `images`, or lists all of them.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SegplugError(f"cannot read {file} ({error}); it must be a text file, one image name a line") from error
    listed = [line for line in lines if line and not line.startswith("#")]
    if not listed:
        raise SegplugError(f"{file}: lists no image; write one image name a line")
    places: dict[str, set[int]] = {}
    for index, image in enumerate(images):
        for parts in (image.parts, image.with_suffix("").parts):
            for k in range(len(parts)):
                places.setdefault("/".join(parts[k:]), set()).add(index)
    unknown = [line for line in listed if line.replace("\\", "/") not in places]
    if unknown:
        raise SegplugError(
            f"{file}: {some(unknown)} {'is' if len(unknown) == 1 else 'are'} no image among the {len(images)} scored "
            f"(such as {images[0].name}); correct the names or the split"
        )
    keep = np.ones(len(images), dtype=bool)
    keep[[index for line in listed for index in places[line.replace("\\", "/")]]] = False
    if not keep.any():
        raise SegplugError(f"{file}: lists all {len(images)} images; nothing would be left to score")
    return keep
