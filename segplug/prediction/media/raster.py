"""A georeferenced or huge TIFF, read and written window by window; results lie where the raster lies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Floats, Mask, Pixels
from segplug.draw import draw_overlay
from segplug.errors import UnreadableError, one_line
from segplug.inference.tiling import ALIGN_PX, probability_strips, tile_count
from segplug.notes import Progress
from segplug.prediction.formats.geojson import feature_collection
from segplug.prediction.formats.outlines import OutlineTracer
from segplug.prediction.job import Job, Result
from segplug.prediction.sources import Source
from yoloplug.files import atomic_path, write_json

if TYPE_CHECKING:
    from rasterio import DatasetReader

WHOLE_PX = 64_000_000
"""A TIFF without georeference up to here is a photo."""
CACHE_MB = 256
ROWS = 2 * ALIGN_PX
"""Rows that are written at once; whole blocks of the results."""
BANDS = {"masks": 1, "overlays": 3, "probabilities": 1}


def is_raster(source: Source, job: Job) -> bool:
    """Whether `source` is a TIFF to go through window by window. Notes a georeference that is lost without rasterio."""
    if not source.is_tiff:
        return False
    try:
        import rasterio  # noqa: F401
    except ImportError:
        if _has_georeference(source.path):
            job.note(
                f"{source.path.name}: its georeference is lost, results are in pixels; to keep it: "
                "pip install 'yoloplug[raster]'"
            )
        return False
    with _opened(source.path) as raster:
        placed = raster.crs is not None or not raster.transform.is_identity
        return placed or raster.width * raster.height > WHOLE_PX


def predict_raster(source: Source, job: Job) -> Result:
    """GeoTIFFs of mask (0, 255), overlay and probability (16 bits, 65535 is 1), polygons in map coordinates.

    Pixels that the raster declares empty are never crack. Raises UnreadableError on a broken raster and on one that is
    not 8- or 16-bit grey or RGB.
    """
    if "coco" in job.save:
        job.note(f"{source.path.name}: a raster gets no COCO annotations; its cracks are in polygons")
    with _opened(source.path) as raster, ExitStack() as stack:
        bands = _rgb_bands(raster, source, job)
        writers = _writers(raster, source, job, stack)
        tracer = OutlineTracer(raster.width) if "polygons" in job.save else None
        top, crack_px, valid_px = 0, 0, 0
        for strip in _strips(raster, bands, job, source):
            image = _pixels(raster, bands, top, 0, *strip.shape)
            valid = _valid(raster, top, 0, *strip.shape) & job.region.kept(strip.shape[0], strip.shape[1], top)
            probability = np.where(valid, strip, 0)
            mask = probability >= job.threshold
            for kind, writer in writers.items():
                writer.write(_bands(kind, image, probability, mask), window=_window(top, 0, *strip.shape))
            if tracer is not None:
                tracer.add(mask)
            top, crack_px, valid_px = top + len(mask), crack_px + int(mask.sum()), valid_px + int(valid.sum())
        transform, crs = raster.transform, _crs_name(raster)
        size = raster.shape
    files = [path for kind in writers if (path := job.path(kind, source, ".tif"))]
    if tracer is not None and (path := job.path("polygons", source, ".geojson")):
        a, b, c, d, e, f = transform[:6]
        found = feature_collection(tracer.cracks(), lambda x, y: (a * x + b * y + c, d * x + e * y + f), crs)
        write_json(path, found, indent=None)
        files.append(path)
    return Result(source, size, crack_px / max(1, valid_px), files)


@contextmanager
def _opened(path: Path) -> Iterator[DatasetReader]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path) as raster:
                yield raster
        except RasterioIOError as error:
            raise UnreadableError(f"{path}: {one_line(error)}; restore or remove the file") from error


def _strips(raster: DatasetReader, bands: list[int], job: Job, source: Source) -> Iterator[Floats]:
    size = (raster.height, raster.width)
    progress = Progress(job.note, tile_count(size, job.tile), f"tiles of {source.path.name}")

    def read(*window: int) -> Pixels | None:
        progress.tick()
        return _pixels(raster, bands, *window) if _valid(raster, *window).any() else None

    for strip in probability_strips(read, size, job.predictor, job.tile):
        for top in range(0, len(strip), ROWS):
            yield strip[top : top + ROWS]


def _writers(raster: DatasetReader, source: Source, job: Job, stack: ExitStack) -> dict[str, Any]:
    import rasterio

    writers = {}
    for kind, bands in BANDS.items():
        if path := job.path(kind, source, ".tif"):
            part = stack.enter_context(atomic_path(path))
            writers[kind] = stack.enter_context(
                rasterio.open(
                    part,
                    "w",
                    driver="GTiff",
                    width=raster.width,
                    height=raster.height,
                    count=bands,
                    dtype="uint16" if kind == "probabilities" else "uint8",
                    crs=raster.crs,
                    transform=raster.transform,
                    compress="deflate",
                    # Strips begin and end at multiples of it: no block is written twice.
                    tiled=True,
                    blockxsize=512,
                    blockysize=ALIGN_PX,
                    BIGTIFF="IF_SAFER",
                )
            )
    return writers


def _bands(kind: str, image: Pixels, probability: Floats, mask: Mask) -> NDArray[Any]:
    """(bands, H, W) of a result."""
    if kind == "masks":
        return mask.astype(np.uint8)[None] * 255
    if kind == "overlays":
        return draw_overlay(image, mask).transpose(2, 0, 1)
    return (probability * 65535).round().astype(np.uint16)[None]


def _rgb_bands(raster: DatasetReader, source: Source, job: Job) -> list[int]:
    """Numbers of the red, green and blue band; of a grey raster thrice its own."""
    from rasterio.enums import ColorInterp

    kinds = set(raster.dtypes)
    if not kinds <= {"uint8", "uint16"}:
        raise UnreadableError(
            f"{source.path}: {', '.join(sorted(kinds))} pixels; make an 8-bit copy: gdal_translate -ot Byte -scale"
        )
    colours = list(raster.colorinterp)
    if colours[0] == ColorInterp.palette:
        raise UnreadableError(f"{source.path}: palette colours; make an RGB copy: gdal_translate -expand rgb")
    if "uint16" in kinds:
        job.note(f"{source.path.name}: of 16 bits the upper 8 are used")
    wanted = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(colour in colours for colour in wanted):
        return [colours.index(colour) + 1 for colour in wanted]
    return [1, 2, 3] if raster.count >= 3 else [1, 1, 1]


def _pixels(raster: DatasetReader, bands: list[int], *window: int) -> Pixels:
    """(height, width, 3) of a window (top, left, height, width)."""
    pixels = raster.read(bands, window=_window(*window))
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(eight.transpose(1, 2, 0))


def _valid(raster: DatasetReader, *window: int) -> Mask:
    return raster.dataset_mask(window=_window(*window)) > 0


def _window(top: int, left: int, height: int, width: int) -> Any:
    from rasterio.windows import Window

    return Window(left, top, width, height)


def _crs_name(raster: DatasetReader) -> str | None:
    """ "EPSG:25832" as a URN where there is such a number, else WKT."""
    if raster.crs is None:
        return None
    number = raster.crs.to_epsg()
    return f"urn:ogc:def:crs:EPSG::{number}" if number else raster.crs.to_wkt()


def _has_georeference(path: Path) -> bool:
    from tifffile import TiffFile, TiffFileError

    try:
        with TiffFile(path) as tiff:
            return bool(tiff.is_geotiff)
    except TiffFileError:
        return False  # reading it as a photo will say what is wrong
