"""What a mask file may hold, and what is refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segplug.errors import SegplugError
from segplug.masks import binarise_mask, read_image, read_mask

HALF = np.zeros((8, 8), dtype=np.uint8)
HALF[:, 4:] = 1


def saved(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("scale", [1, 255])
def test_both_exact_encodings_give_zero_and_one(tmp_path: Path, scale: int) -> None:
    mask, lossy = read_mask(saved(tmp_path / "m.png", HALF * scale))
    assert np.array_equal(mask, HALF) and not lossy


def test_jpeg_artefacts_are_cut_at_127(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.jpg", cv2.GaussianBlur(HALF * 255, (3, 3), 0))
    mask, lossy = read_mask(path)
    assert lossy and np.array_equal(mask, HALF)


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 128, 255], [0, 38], [7]])
def test_other_values_are_refused_with_the_file_name(tmp_path: Path, values: list[int]) -> None:
    pixels = np.resize(np.array(values, dtype=np.uint8), (8, 8))
    with pytest.raises(SegplugError, match=r"odd\.png: mask values .* neither 0/255 nor 0/1"):
        read_mask(saved(tmp_path / "odd.png", pixels))


def test_a_dim_lossy_mask_is_refused_rather_than_read_as_empty() -> None:
    with pytest.raises(SegplugError, match="neither"):
        binarise_mask(np.array([[0, 3], [20, 38]], dtype=np.uint8), lossy=True, name="dim.jpg")


def test_grey_stored_as_colour_is_read_and_colour_is_refused(tmp_path: Path) -> None:
    grey = np.repeat(HALF[..., None] * 255, 3, axis=2)
    assert np.array_equal(read_mask(saved(tmp_path / "m.png", grey))[0], HALF)
    grey[..., 0] = 0
    with pytest.raises(SegplugError, match=r"c\.png: mask is a colour image"):
        read_mask(saved(tmp_path / "c.png", grey))


def test_alpha_must_be_opaque(tmp_path: Path) -> None:
    pixels = np.repeat(HALF[..., None] * 255, 4, axis=2)
    with pytest.raises(SegplugError, match="transparent alpha"):
        read_mask(saved(tmp_path / "t.png", pixels))
    pixels[..., 3] = 255
    assert np.array_equal(read_mask(saved(tmp_path / "o.png", pixels))[0], HALF)


def test_sixteen_bit_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="uint16 pixels"):
        read_mask(saved(tmp_path / "m.png", HALF.astype(np.uint16) * 65535))


def test_broken_and_empty_files_are_named(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.png", HALF * 255).read_bytes()
    for name, content in (("broken.png", whole[:20]), ("empty.png", b""), ("text.jpg", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SegplugError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name)


def test_images_are_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[..., 0] = 200  # OpenCV writes blue first
    assert read_image(saved(tmp_path / "i.png", pixels))[0, 0].tolist() == [0, 0, 200]
