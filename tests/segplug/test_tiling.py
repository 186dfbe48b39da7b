"""Tiles cover everything once blended, and padding never changes the size."""

import numpy as np
import pytest
import torch

from segplug.padding import crop_to, pad_to_multiple
from segplug.tiling import tiled_probability


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 64), (65, 200), (150, 97), (300, 30)])
def test_a_pointwise_network_gives_the_same_in_tiles(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    sizes = []

    def probability(part: np.ndarray) -> np.ndarray:
        sizes.append(part.shape[:2])
        return part[..., 0].astype(np.float32) / 255

    found = tiled_probability(image, probability, tile=64, overlap=16)
    np.testing.assert_allclose(found, image[..., 0] / 255, atol=1e-6)
    assert max(max(size) for size in sizes) <= 64


def test_tiles_fade_into_each_other() -> None:
    image = np.zeros((64, 112, 3), dtype=np.uint8)
    answers = iter([0.0, 1.0])
    found = tiled_probability(image, lambda part: np.full(part.shape[:2], next(answers), np.float32), 64, 16)
    middle = found[32, 48:64]
    assert (np.diff(middle) > 0).all() and np.abs(np.diff(found, axis=1)).max() < 0.2


def test_overlap_must_fit() -> None:
    with pytest.raises(ValueError, match="overlap"):
        tiled_probability(np.zeros((99, 99, 3), np.uint8), lambda part: np.zeros(part.shape[:2], np.float32), 32, 32)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (32, 64), (33, 47)])
def test_padding_mirrors_and_crops_back(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    padded = pad_to_multiple(x, 32)
    assert padded.shape[-2] % 32 == 0 and padded.shape[-1] % 32 == 0
    assert crop_to(padded, *size).equal(x)
