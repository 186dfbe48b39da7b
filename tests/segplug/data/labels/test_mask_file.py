"""What a mask file may hold, and what is refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.data.labels.mask_file import read_mask
from segplug.errors import SegplugError

HALF = np.zeros((8, 8), dtype=np.uint8)
HALF[:, 4:] = 1


def saved(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("scale", [1, 255])
def test_both_exact_encodings_give_zero_and_one(tmp_path: Path, scale: int) -> None:
    assert np.array_equal(read_mask(saved(tmp_path / "m.png", HALF * scale)), HALF)


def test_jpeg_artefacts_are_cut_at_127(tmp_path: Path) -> None:
    half = np.kron(HALF, np.ones((4, 4), dtype=np.uint8))
    path = saved(tmp_path / "m.jpg", cv2.GaussianBlur(half * 255, (3, 3), 0))
    assert np.array_equal(read_mask(path), half)


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 128, 255], [0, 38], [7]])
def test_other_values_are_refused_with_the_file_name(tmp_path: Path, values: list[int]) -> None:
    pixels = np.resize(np.array(values, dtype=np.uint8), (8, 8))
    with pytest.raises(SegplugError, match=r"odd\.png: mask values .* neither 0/255 nor 0/1"):
        read_mask(saved(tmp_path / "odd.png", pixels))


def test_grey_stored_as_colour_is_read_and_colour_is_refused(tmp_path: Path) -> None:
    grey = np.repeat(HALF[..., None] * 255, 3, axis=2)
    assert np.array_equal(read_mask(saved(tmp_path / "m.png", grey)), HALF)
    grey[..., 0] = 0
    with pytest.raises(SegplugError, match=r"c\.png: mask is a colour image"):
        read_mask(saved(tmp_path / "c.png", grey))


@pytest.mark.parametrize(
    ("colours", "expected"),
    [([(0, 0, 0), (128, 0, 0)], HALF), ([(255, 255, 255), (0, 0, 0)], 1 - HALF), ([(0, 0, 0), (255,) * 3], HALF)],
    ids=["coloured", "white first", "black first"],
)
def test_a_palette_gives_its_greys_or_its_indices(
    tmp_path: Path, colours: list[tuple[int, ...]], expected: np.ndarray
) -> None:
    picture = Image.frombytes("P", HALF.shape[::-1], HALF.tobytes())
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), expected)


def test_alpha_must_be_opaque(tmp_path: Path) -> None:
    pixels = np.repeat(HALF[..., None] * 255, 4, axis=2)
    with pytest.raises(SegplugError, match="transparent alpha"):
        read_mask(saved(tmp_path / "t.png", pixels))
    pixels[..., 3] = 255
    assert np.array_equal(read_mask(saved(tmp_path / "o.png", pixels)), HALF)


def test_sixteen_bit_masks_are_read_where_they_are_certain(tmp_path: Path) -> None:
    for top in (1, 255, 65535):
        assert np.array_equal(read_mask(saved(tmp_path / "m.png", HALF.astype(np.uint16) * top)), HALF)
    with pytest.raises(SegplugError, match="uint16 pixels"):
        read_mask(saved(tmp_path / "m.png", HALF.astype(np.uint16) * 4095))
