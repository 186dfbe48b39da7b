"""Masks as `segplug predict` leaves them."""

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """What `segplug predict` writes: masks/ of two walls, one of them without crack; photos/ beside it."""
    mask = np.zeros((120, 160), dtype=np.uint8)
    mask[50:54, 20:140] = 255
    for made in ("found/masks", "photos"):
        (tmp_path / made).mkdir(parents=True)
    for name, pixels in (("wall <1>", mask), ("wall 2", mask * 0)):
        assert cv2.imwrite(str(tmp_path / f"found/masks/{name}.png"), pixels)
        assert cv2.imwrite(str(tmp_path / f"photos/{name}.jpg"), np.full((120, 160, 3), 170, np.uint8))
    return tmp_path / "found"
