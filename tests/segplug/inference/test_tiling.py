"""Tiles cover everything once blended, and padding never changes the size."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from segplug.inference.tiling import ALIGN_PX, probability_strips, tile_count, tiled_probability
from segplug.models.padding import crop_to, pad_to_multiple


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 64), (65, 200), (150, 97), (300, 30)])
def test_a_pointwise_network_gives_the_same_in_tiles(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    sizes = []

    def probability(part: np.ndarray) -> np.ndarray:
        sizes.append(part.shape[:2])
        return part[..., 0].astype(np.float32) / 255

    found = tiled_probability(image, probability, tile=64, overlap=16)
    np.testing.assert_allclose(found, image[..., 0] / 255, atol=1e-6)
    assert max(max(size) for size in sizes) <= 64 and len(sizes) == tile_count((height, width), 64, 16)


def test_tiles_start_on_the_networks_grid_and_overlap_enough() -> None:
    seen: list[tuple[int, int, int, int]] = []

    def read(*window: int) -> np.ndarray:
        seen.append(window)  # type: ignore[arg-type]
        return np.zeros((*window[2:], 3), np.uint8)

    strips = probability_strips(read, (1500, 2688), lambda part: np.ones(part.shape[:2], np.float32), 512, 128)
    whole = np.concatenate(list(strips))
    np.testing.assert_allclose(whole, np.ones((1500, 2688)), atol=1e-6)
    assert all(top % ALIGN_PX == 0 and left % ALIGN_PX == 0 for top, left, _, _ in seen)
    for start, length in ((0, 2), (1, 3)):
        spans = sorted({(window[start], window[start] + window[length]) for window in seen})
        assert all(end - nxt >= 128 for (_, end), (nxt, _) in pairwise(spans))


def test_a_tile_without_pixels_is_probability_zero() -> None:
    strips = probability_strips(lambda *window: None, (70, 100), lambda part: part[..., 0], 64, 32)
    assert np.concatenate(list(strips)).tolist() == np.zeros((70, 100)).tolist()


def test_tiles_fade_into_each_other() -> None:
    image = np.zeros((64, 96, 3), dtype=np.uint8)
    answers = iter([0.0, 1.0])
    found = tiled_probability(image, lambda part: np.full(part.shape[:2], next(answers), np.float32), 64, 32)
    row = found[32]
    assert (np.diff(row) >= 0).all() and np.diff(row).max() < 0.1 and (np.diff(row[40:56]) > 0).all()
    assert row[:40].max() < 1e-5 and row[56:].min() > 1 - 1e-5  # what lies at a tile's border does not count


def test_overlap_must_fit() -> None:
    with pytest.raises(ValueError, match="overlap"):
        tiled_probability(np.zeros((99, 99, 3), np.uint8), lambda part: np.zeros(part.shape[:2], np.float32), 32, 32)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (32, 64), (33, 47), (1, 70)])
def test_padding_mirrors_and_crops_back(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    padded = pad_to_multiple(x, 32)
    assert padded.shape[-2] % 32 == 0 and padded.shape[-1] % 32 == 0
    assert crop_to(padded, *size).equal(x)


def test_padding_is_torchs_reflection_where_that_is_possible() -> None:
    x = torch.rand(1, 3, 40, 50)
    torch.testing.assert_close(pad_to_multiple(x, 32), torch.nn.functional.pad(x, (0, 14, 0, 24), mode="reflect"))
    tiny = torch.arange(3.0).reshape(1, 1, 1, 3)
    assert pad_to_multiple(tiny, 8)[0, 0, 5].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
