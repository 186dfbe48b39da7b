"""Cracks as GeoJSON."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Points
from segplug.prediction.formats.outlines import CrackPolygons

Place = Callable[[Points, Points], tuple[Points, Points]]


def feature_collection(
    cracks: Sequence[CrackPolygons], place: Place = lambda x, y: (x, y), crs: str | None = None
) -> dict[str, Any]:
    """A feature a crack, with its number `id` and `area_px`.

    place: from pixels (x to the right, y down, pixel edges) to the file's coordinates, unchanged by default. crs: their
    name, such as "EPSG:25832"; GDAL, QGIS and ArcGIS read it, though RFC 7946 allows WGS 84 only.
    """
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if crs is not None:
        collection["crs"] = {"type": "name", "properties": {"name": crs}}
    return {**collection, "features": [_feature(i + 1, crack, place) for i, crack in enumerate(cracks)]}


def _feature(number: int, crack: CrackPolygons, place: Place) -> dict[str, Any]:
    areas = [[abs(_area(ring[:, 0], ring[:, 1])) for ring in polygon] for polygon in crack]
    area = sum(outer - sum(holes) for outer, *holes in areas)
    parts = [[_ring(ring, place, hole=i > 0) for i, ring in enumerate(polygon)] for polygon in crack]
    one = len(parts) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": parts[0] if one else parts}
    return {"type": "Feature", "properties": {"id": number, "area_px": round(area)}, "geometry": geometry}


def _ring(ring: NDArray[np.int64], place: Place, hole: bool) -> list[list[float]]:
    """Closed; counter-clockwise in the file's coordinates, holes clockwise."""
    x, y = place(ring[:, 0].astype(float), ring[:, 1].astype(float))
    points = np.stack([x, y], axis=1)
    if (_area(x, y) < 0) != hole:
        points = points[::-1]
    return [*points.tolist(), points[0].tolist()]


def _area(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Shoelace formula; positive when x turns towards y."""
    x, y = x - x[0], y - y[0]  # keeps digits of large map coordinates
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
