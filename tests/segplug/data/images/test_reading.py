"""How images are read, and what is refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.data.images.reading import orientation, read_image
from segplug.errors import SegplugError


def saved(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def test_broken_and_empty_files_are_named(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.png", np.eye(8, dtype=np.uint8)).read_bytes()
    for name, content in (("broken.png", whole[:20]), ("empty.png", b""), ("text.jpg", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SegplugError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name)


def test_images_are_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[..., 0] = 200  # OpenCV writes blue first
    assert read_image(saved(tmp_path / "i.png", pixels))[0, 0].tolist() == [0, 0, 200]


def test_images_of_any_kind_come_as_three_channels_of_eight_bits(tmp_path: Path) -> None:
    grey = np.arange(0, 128, 2, dtype=np.uint8).reshape(8, 8)
    wanted = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.concatenate([wanted, np.full((8, 8, 1), 255, np.uint8)], axis=2)
    for pixels in (grey, opaque, grey.astype(np.uint16) * 256 + 7):
        assert np.array_equal(read_image(saved(tmp_path / "i.png", pixels)), wanted)
    with pytest.raises(SegplugError, match=r"i\.png: 16-bit image whose highest value is 1260 of 65535"):
        read_image(saved(tmp_path / "i.png", grey.astype(np.uint16) * 10))
    with pytest.raises(SegplugError, match=r"f\.tif: image has float32 pixels"):
        read_image(saved(tmp_path / "f.tif", wanted.astype(np.float32)))


def test_the_cameras_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((4, 8, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (8, 4, 3) and orientation(tmp_path / "turned.jpg") == 6
