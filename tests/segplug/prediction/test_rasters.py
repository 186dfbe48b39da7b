"""Rasters keep their place, are never read whole, and their empty pixels are no crack."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize

from segplug.errors import FilesFailed
from segplug.inference.tiling import tile_count
from tests.segplug.prediction.conftest import darkness, draw

Find = Callable[..., list[dict[str, Any]]]
PLACE = Affine(0.002, 0, 500_000, 0, -0.002, 5_700_000)  # 2 mm a pixel
KINDS = ("masks", "overlays", "probabilities", "polygons")


def write(path: Path, bands: np.ndarray, **options: Any) -> Path:
    """(B, H, W)"""
    about = {"crs": "EPSG:25832", "transform": PLACE, **options}
    count, height, width = bands.shape
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=bands.dtype, **about) as raster:
        raster.write(bands)
    return path


def read(path: Path) -> tuple[np.ndarray, Any, Any]:
    with rasterio.open(path) as raster:
        return raster.read(), raster.crs, raster.transform


def test_results_lie_where_the_raster_lies(find: Find, tmp_path: Path) -> None:
    photo, mask = draw(700, 900)
    rows = find(write(tmp_path / "deck.tif", photo.transpose(2, 0, 1)), save=KINDS)
    assert rows[0]["crack_share"] == mask.mean()
    assert max(max(shape[:2]) for shape in find.seen) <= 256  # type: ignore[attr-defined]
    for kind, expected in (("masks", mask[None] * 255), ("probabilities", None), ("overlays", None)):
        pixels, crs, transform = read(tmp_path / "found" / kind / "deck.tif")
        assert crs == "EPSG:25832" and transform == PLACE and pixels.shape[1:] == mask.shape
        if expected is not None:
            np.testing.assert_array_equal(pixels, expected)
    probability = read(tmp_path / "found/probabilities/deck.tif")[0]
    assert probability.dtype == np.uint16
    np.testing.assert_allclose(probability[0] / 65535, darkness(photo), atol=1e-5)
    outlines = json.loads((tmp_path / "found/polygons/deck.geojson").read_text())
    assert outlines["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::25832"
    shapes = [feature["geometry"] for feature in outlines["features"]]
    np.testing.assert_array_equal(rasterize(shapes, mask.shape, transform=PLACE), mask)


def test_empty_pixels_are_no_crack_and_cost_nothing(find: Find, tmp_path: Path) -> None:
    photo, mask = draw(300, 900)
    bands = photo.transpose(2, 0, 1).clip(1)
    bands[:, :, 400:] = 0
    rows = find(write(tmp_path / "deck.tif", bands, nodata=0), save=["masks"])
    tiles = tile_count((300, 900), 256)
    mask[:, 400:] = False
    np.testing.assert_array_equal(read(tmp_path / "found/masks/deck.tif")[0][0], mask * 255)
    assert rows[0]["crack_share"] == mask[:, :400].mean()
    assert (len(find.seen), tiles) == (8, 14)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["grey", "sixteen", "alpha"])
def test_other_bands_and_depths(find: Find, tmp_path: Path, kind: str) -> None:
    photo, mask = draw()
    bands = photo.transpose(2, 0, 1)
    if kind == "grey":
        bands = bands[1:2]
    elif kind == "sixteen":
        bands = bands.astype(np.uint16) << 8
    else:
        bands = np.concatenate([bands, np.full((1, 60, 80), 255, np.uint8)])
    notes: list[str] = []
    find(write(tmp_path / "a.tif", bands), save=["masks", "coco"], note=notes.append)
    np.testing.assert_array_equal(read(tmp_path / "found/masks/a.tif")[0][0], mask * 255)
    assert any("upper 8" in note for note in notes) == (kind == "sixteen")
    assert any("no COCO annotations" in note for note in notes)


def test_what_is_no_picture_is_refused(find: Find, tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.zeros((1, 8, 8), np.float32))
    with pytest.raises(FilesFailed, match=r"a\.tif: float32 pixels; make an 8-bit copy: gdal_translate"):
        find(tmp_path / "a.tif")


def test_a_raster_cut_off_leaves_no_result(find: Find, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", draw(600, 600)[0].transpose(2, 0, 1))
    path.write_bytes(path.read_bytes()[:400_000])
    with pytest.raises(FilesFailed, match=r"a\.tif: .*restore or remove the file"):
        find(path, save=KINDS)
    assert not [p for p in (tmp_path / "found").rglob("*") if p.is_file()]


def test_a_tiff_without_place_is_a_photo(find: Find, tmp_path: Path) -> None:
    photo, mask = draw()
    assert cv2.imwrite(str(tmp_path / "a.tif"), photo[..., ::-1])
    find(tmp_path / "a.tif")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "found/masks/a.png"), -1), mask * 255)


def test_without_rasterio_the_loss_is_stated(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, mask = draw()
    path = write(tmp_path / "deck.tif", photo.transpose(2, 0, 1))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    notes: list[str] = []
    find(path, note=notes.append)
    assert "deck.tif: its georeference is lost" in notes[0] and "yoloplug[raster]" in notes[0]
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "found/masks/deck.png"), -1), mask * 255)
