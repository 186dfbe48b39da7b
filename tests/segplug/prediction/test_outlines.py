"""Outlines give the mask back to the pixel, whatever its shape and however its rows come."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from rasterio.features import rasterize

from segplug.prediction.formats.geojson import feature_collection
from segplug.prediction.formats.outlines import OutlineTracer


def traced(mask: np.ndarray, rows: int) -> list:
    tracer = OutlineTracer(mask.shape[1])
    for top in range(0, len(mask), rows):
        tracer.add(mask[top : top + rows])
    return tracer.cracks()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("rows", [1, 3, 99])
def test_random_masks(share: float, rows: int) -> None:
    rng = np.random.default_rng(int(share * 10))
    for _ in range(5):
        mask = rng.random(rng.integers(1, 25, 2)) < share
        cracks = traced(mask, rows)
        features = feature_collection(cracks)["features"]
        counts = [cv2.connectedComponents(mask.astype(np.uint8), connectivity=c)[0] - 1 for c in (8, 4)]
        assert [len(cracks), sum(map(len, cracks))] == counts
        assert sum(f["properties"]["area_px"] for f in features) == mask.sum()
        again = rasterize([f["geometry"] for f in features], mask.shape) if features else np.zeros(mask.shape)
        np.testing.assert_array_equal(again, mask)


def test_rings_are_closed_turn_the_right_way_and_have_no_idle_corner() -> None:
    mask = np.ones((3, 4), dtype=bool)
    mask[1, 1:3] = False
    (feature,) = feature_collection(traced(mask, 2), lambda x, y: (100 + x, 200 - y))["features"]
    outer, hole = feature["geometry"]["coordinates"]
    assert outer[0] == outer[-1] and len(outer) == len(hole) == 5
    assert {tuple(p) for p in outer} == {(100, 200), (104, 200), (104, 197), (100, 197)}
    assert {tuple(p) for p in hole} == {(101, 199), (103, 199), (103, 198), (101, 198)}

    def turn(ring: list[list[float]]) -> float:
        return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))

    assert turn(outer) > 0 > turn(hole)


def test_an_empty_mask_has_no_crack() -> None:
    assert feature_collection(traced(np.zeros((5, 5), dtype=bool), 2)) == {"type": "FeatureCollection", "features": []}
