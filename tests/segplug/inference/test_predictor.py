"""Sizes and mirror images of a photo, and how what the network says of them is averaged."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.inference.predictor import Predictor, averaged
from tests.segplug.prediction.conftest import darkness


def test_flips_average_the_four_mirror_images() -> None:
    """In odds: of 9 to 1 and 1 to 4 the (geometric) mean is 1.5 to 1."""
    corners = iter(np.array([[0.9, 0.2]], np.float32) for _ in range(4))
    seen = Predictor(Path("m"), "0", 0.5, lambda part: next(corners)).with_flips()(np.zeros((1, 2, 3), np.uint8))
    np.testing.assert_allclose(seen, [[0.6, 0.6]], rtol=1e-6)


def test_sure_probabilities_and_nan_are_averaged_too() -> None:
    sure = averaged([np.array([[0, 1, 1, np.nan]], np.float32), np.array([[0, 1, 0, 0.5]], np.float32)])
    np.testing.assert_allclose(sure, [[0, 1, 0.5, np.nan]], atol=1.1e-6)
    once = np.array([[0, 0.25, 1]], np.float32)
    assert averaged([once]) is once


def test_sizes_at_which_a_photo_would_be_tiny_are_left_out() -> None:
    seen: list[tuple[int, ...]] = []

    def look(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(image.shape[:2])
        return darkness(image)

    pyramid = Predictor(Path("m"), "0", 0.5, look, (2, 1, 0.5, 0.25))
    pyramid(np.zeros((384, 800, 3), np.uint8))
    pyramid(np.zeros((383, 800, 3), np.uint8))
    assert seen == [(768, 1600), (384, 800), (192, 400), (96, 200), (766, 1600), (383, 800), (192, 400)]
    seen.clear()
    Predictor(Path("m"), "0", 0.5, look, (0.5,))(np.zeros((40, 40, 3), np.uint8))
    assert seen == [(20, 20)]
