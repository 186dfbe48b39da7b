"""A label must have the size of its image; the message says when the camera turned the photo."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from segplug.data.images.reading import orientation
from segplug.errors import SegplugError


def sized(values: NDArray[Any], path: Path, height: int, width: int, image: Path) -> NDArray[Any]:
    if values.shape != (height, width):
        h, w = values.shape
        raise SegplugError(
            f"{path}: mask is {w}x{h} but {image.name} is {width}x{height}",
            f"{turned(image, (h, w), height, width)}resize or redo the mask",
        )
    return values


def turned(image: Path, label_size: tuple[int, int], height: int, width: int) -> str:
    if label_size == (width, height) and orientation(image) >= 5:
        return f"the camera turned the photo (EXIF orientation {orientation(image)}): turn the mask too, or "
    return ""
