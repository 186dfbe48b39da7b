"""Small pictures of evaluation images, kept once for all cells of a data set, and read and enlarged for a report.

A run's `pictures/<dataset>/` holds INDEX.jpg and, for segmentation, INDEX-truth.png. An index is the image's place in
the evaluation set. All have at most SIDE_PX on the longer side; about 30 kB an image and run.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from experiments.errors import SpecError
from segplug.data.images.reading import UNREADABLE
from yoloplug.files import write

KEPT, SIDE_PX, ENLARGE_TO_PX = 200, 512, 400
RUN_AGAIN = "the cell's row.json"


def kept(count: int) -> list[int]:
    """Indices of the images that a report may choose from: all, or KEPT spread evenly; the same for every model."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(KEPT, count))})


def save_pictures(folder: Path, images: tuple[Path, ...]) -> None:
    """The kept ones of the evaluation images, as Ultralytics sees them (EXIF turns applied)."""
    for index in kept(len(images)):
        if not (folder / f"{index}.jpg").exists():
            with Image.open(images[index]) as opened:
                save_picture(shrunk(ImageOps.exif_transpose(opened).convert("RGB")), folder / f"{index}.jpg")


def save_picture(picture: Image.Image, path: Path) -> None:
    """All or nothing: several cells may write the same picture."""
    write(path, lambda part: picture.save(part, quality=85, optimize=True))


def shrunk(picture: Image.Image) -> Image.Image:
    scale = SIDE_PX / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def has_pictures(folder: Path, images: int, *ends: str) -> bool:
    """Whether all that a report could choose are there; `ends`: of a picture's file, after its index."""
    return all((folder / f"{index}{end}").is_file() for index in kept(images) for end in ends)


def read_picture(path: Path, mode: str) -> Image.Image:
    """Raises SpecError on a cut file."""
    try:
        with Image.open(path) as opened:
            return opened.convert(mode)
    except UNREADABLE as error:
        raise SpecError(
            f"{path} is no whole picture ({error}); delete it and {RUN_AGAIN} and run the spec again"
        ) from error


def enlarged(picture: Image.Image) -> Image.Image:
    """A whole number of times as large, so that small images are seen pixel by pixel under crisp lines."""
    factor = max(1, ENLARGE_TO_PX // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()
