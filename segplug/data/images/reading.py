"""Read an image from a file, and refuse what cannot be read for certain."""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from segplug.arrays import Mask, Pixels
from segplug.data.images.listing import EXTRAS
from segplug.errors import SegplugError

MAX_PIXELS = 1 << 29  # 1.6 GB in colour
LOSSY_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".jp2", ".avif", ".heic", ".heif"}
DIM_16_BIT = 1 << 14
# Beside Ultralytics, which patches Pillow, an unknown file asks for pi-heif: ImportError where that is missing.
UNREADABLE = (UnidentifiedImageError, OSError, ValueError, SyntaxError, ImportError)
EXIF_ORIENTATION = 0x0112
Image.MAX_IMAGE_PIXELS = None  # Pillow would warn of 90 megapixels even when it looks at a head; _refuse_huge has ours


class Picture(NamedTuple):
    """pixels: (H, W, 3) RGB uint8. visible: (H, W), False where the file is wholly transparent; None: nowhere."""

    pixels: Pixels
    visible: Mask | None


def read_image(path: Path) -> Pixels:
    """(H, W, 3) RGB uint8; the camera's orientation tag is applied, grey becomes three channels, alpha is dropped.

    Of 16 bits the upper 8 are kept. Raises SegplugError on a file that is no image or would come out black.
    """
    pixels: NDArray[Any] = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint16:
        if pixels.max() < DIM_16_BIT:
            raise SegplugError(
                f"{path}: 16-bit image whose highest value is {pixels.max()} of 65535, near black in 8 bits; "
                "stretch it to 0-255 and save it with 8 bits"
            )
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SegplugError(f"{path}: image has {pixels.dtype} pixels", "save it with 8 bits a channel")
    return np.ascontiguousarray(pixels[..., ::-1])


def read_picture(path: Path) -> Picture:
    """`read_image`, and where there is an image at all."""
    return Picture(read_image(path), visible_pixels(path))


def visible_pixels(path: Path) -> Mask | None:
    """(H, W), turned as `read_image` does: False where the file is wholly transparent. None: nowhere."""
    try:
        with path.open("rb") as file, Image.open(file) as image:  # a path: Pillow 13 mixes up turned TIFFs
            if not image.has_transparency_data:
                return None
            image.load()  # turns a TIFF by itself
            visible = np.asarray(ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")) > 0
    except UNREADABLE:  # of raw photos Pillow knows nothing
        return None
    return None if visible.all() else visible


def is_lossy(path: Path) -> bool:
    """Whether the file's format changes grey values."""
    return path.suffix.lower() in LOSSY_SUFFIXES


def orientation(path: Path) -> int:
    """The camera's EXIF orientation, 1 (upright) where there is none."""
    try:
        with Image.open(path) as image:
            return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except UNREADABLE:  # pictures of which Pillow knows no metadata
        return 1


def further_pages(path: Path) -> int:
    """How many pictures the file holds beyond the first, which is the one that is read; smaller copies do not count."""
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        from tifffile import TiffFile, TiffFileError

        try:
            with TiffFile(path) as tiff:
                return max(0, sum(not (p.is_reduced or p.is_mask) for p in (page.aspage() for page in tiff.pages)) - 1)
        except (TiffFileError, *UNREADABLE):  # reading it says what is wrong
            return 0
    if suffix not in (".gif", ".webp", ".avif", ".heic", ".heif"):
        return 0
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) - 1
    except UNREADABLE:
        return 0


def decode(path: Path, flags: int) -> NDArray[Any]:
    """As OpenCV reads it, colours as BGR. Raises SegplugError on a file that is no image or is too large."""
    if path.suffix.lower() in EXTRAS:
        return _with_package(path)
    _refuse_huge(path)
    raw = np.fromfile(path, dtype=np.uint8)  # not cv2.imread: that fails on non-ASCII Windows paths and hides why
    try:
        pixels: Any = cv2.imdecode(raw, flags) if raw.size else None
    except cv2.error as error:  # sizes beyond its own limits, for one
        raise SegplugError(f"{path}: OpenCV cannot read it ({error.err})", "save it anew or remove it") from error
    if pixels is None:
        raise SegplugError(f"{path}: not a readable image ({raw.size} bytes)", "restore or remove the file")
    return pixels


def _with_package(path: Path) -> Pixels:
    """(H, W, 3) BGR of a format that OpenCV does not know."""
    name, extra = EXTRAS[path.suffix.lower()]
    try:
        package = import_module(name)
    except ImportError as error:
        raise SegplugError(f"{path}: reading it needs {name}: pip install 'yoloplug[{extra}]'") from error
    if name == "rawpy":
        try:
            with package.imread(str(path)) as raw:
                return raw.postprocess(use_camera_wb=True)[..., ::-1]
        except (package.LibRawError, OSError) as error:
            raise SegplugError(f"{path}: not a readable raw photo ({error})", "restore or remove the file") from error
    package.register_heif_opener()
    _refuse_huge(path)
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))[..., ::-1]
    except (*UNREADABLE, RuntimeError, EOFError) as error:
        raise SegplugError(f"{path}: not a readable image ({error})", "restore or remove the file") from error


def _refuse_huge(path: Path) -> None:
    try:
        with Image.open(path) as image:
            width, height = image.size
    except UNREADABLE:  # OpenCV reads it, or says why not
        return
    if width * height > MAX_PIXELS:
        raise SegplugError(
            f"{path}: {width}x{height} pixels, more than {MAX_PIXELS} (2^29) are not read at once", "cut it into tiles"
        )
