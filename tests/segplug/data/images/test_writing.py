"""Pictures written whole, in the colours that they have, or refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segplug.data.images.writing import encode_picture, write_picture
from segplug.errors import SegplugError


def test_png_keeps_every_value(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_picture(tmp_path / "new" / "ä.png", colour)
    stored = cv2.imdecode(np.fromfile(tmp_path / "new" / "ä.png", np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored[..., ::-1], colour)
    grey = rng.integers(0, 65536, (5, 7), dtype=np.uint16)
    assert np.array_equal(cv2.imdecode(encode_picture(grey, ".png"), cv2.IMREAD_UNCHANGED), grey)


def test_jpeg_keeps_the_colour_of_a_thin_line() -> None:
    picture = np.full((32, 32, 3), 128, np.uint8)
    picture[:, 15] = (255, 60, 200)
    stored = cv2.imdecode(encode_picture(picture, ".jpg"), cv2.IMREAD_COLOR)[..., ::-1]
    assert abs(stored[:, 15].mean(axis=0) - picture[0, 15]).max() < 12


@pytest.mark.parametrize(("shape", "suffix"), [((0, 4), ".png"), ((2, 65501, 3), ".jpg")])
def test_what_no_file_can_hold_is_refused(shape: tuple[int, ...], suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"wall{suffix}"
    file.write_bytes(b"earlier")
    with pytest.raises(SegplugError, match=rf"wall\{suffix}: OpenCV could not encode \("):
        write_picture(file, np.zeros(shape, np.uint8))
    assert file.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [file]
