"""A region to leave out of pictures, such as a kerb or a joint that a fixed camera sees: polygons in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segplug.arrays import Mask
from segplug.data.text_files import is_file, read_json, read_text
from segplug.errors import SegplugError

FAR_PX = 1_000_000


@dataclass(frozen=True)
class Region:
    """The inside of `polygons`, each (x, y) corners in pixels from the top left corner; the border belongs to it."""

    polygons: tuple[tuple[tuple[float, float], ...], ...]

    @staticmethod
    def parse(given: Sequence[str]) -> Region:
        """Of texts like "0,400 640,400 640,480 0,480", or files: one such text a line, or labelme's .json.

        Raises SegplugError on anything else.
        """
        found: list[tuple[tuple[float, float], ...]] = []
        for text in given:
            path = Path(text)
            if not is_file(path):
                found.append(_polygon(text.split(), f"region {text[:60]!r}", "no such file, and "))
            elif path.suffix.lower() == ".json":
                about = read_json(path)
                shapes = about.get("shapes") if isinstance(about, dict) else None
                if not isinstance(shapes, list) or not shapes:
                    raise SegplugError(f"{path}: no shapes", "draw polygons in labelme, or write corners as text")
                for number, shape in enumerate(shapes, start=1):
                    points = shape.get("points") if isinstance(shape, dict) else None
                    corners = [",".join(map(str, p)) for p in points if isinstance(p, list)] if points else []
                    found.append(_polygon(corners, f"{path}: shape {number}"))
            else:
                lines = [(n, line.split()) for n, line in enumerate(read_text(path).splitlines(), start=1)]
                found += [_polygon(corners, f"{path}, line {n}") for n, corners in lines if corners]
        return Region(tuple(found))

    def kept(self, height: int, width: int, top: int = 0) -> Mask:
        """(H, W): False inside. top: row of the picture at which these rows begin."""
        inside = np.zeros((height, width), dtype=np.uint8)
        for polygon in self.polygons:
            corners = np.round(np.array(polygon) - (0, top)).astype(np.int32)
            cv2.fillPoly(inside, [corners], 1)
        return inside == 0


def _polygon(corners: Sequence[str], where: str, why: str = "") -> tuple[tuple[float, float], ...]:
    try:
        found = tuple((float(x), float(y)) for x, y in (corner.split(",") for corner in corners))
    except ValueError:
        found = ()
    if len(found) < 3 or not all(abs(value) <= FAR_PX for corner in found for value in corner):  # also NaN
        raise SegplugError(f'{where}: {why}no polygon; write at least three corners in pixels, as "0,9 40,9 40,30"')
    return found
