"""Outlines that are filled: YOLO's text files, COCO's polygons and run lengths, labelme's shapes."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segplug.arrays import Pixels, Points
from segplug.data.images.reading import UNREADABLE
from segplug.data.labels.size import turned
from segplug.data.text_files import read_json, read_text
from segplug.errors import SegplugError

FAR = 4  # a point may lie so many times the picture's size outside
CORNERS = 64  # of labelme's circles


@dataclass(frozen=True)
class YoloFile:
    """Lines `class x1 y1 x2 y2 …` with coordinates as shares of width and height; an empty file has no object."""

    path: Path
    crack: frozenset[int] | None  # None: every class

    def values(self, height: int, width: int, image: Path) -> Pixels:
        scale = np.array([width, height])
        outlines = [points * scale for number, points in self.objects() if self.crack is None or number in self.crack]
        return _draw([o.ravel().tolist() for o in outlines], height, width)

    def objects(self) -> list[tuple[int, Points]]:
        """(class, (n, 2) outline) of each line."""
        found = []
        for i, line in enumerate(read_text(self.path).splitlines(), start=1):
            if not line.strip():
                continue
            where = f"{self.path}, line {i}"
            try:
                first, *rest = (float(part) for part in line.split())
            except ValueError as error:
                raise SegplugError(f"{where}: holds something else than numbers", "redo it") from error
            if len(rest) == 4:
                raise SegplugError(
                    f"{where}: a box, not an outline; segplug needs segment labels (x1 y1 x2 y2 x3 y3 …)"
                )
            if len(rest) < 6 or len(rest) % 2:
                raise SegplugError(f"{where}: {len(rest)} coordinates", "an outline has at least three points of two")
            points = np.array(rest).reshape(-1, 2)
            if not (np.isfinite(points).all() and points.min() >= -0.01 and points.max() <= 1.01):
                raise SegplugError(
                    f"{where}: coordinates from {points.min():g} to {points.max():g}; divide them by width and height"
                )
            if not math.isfinite(first) or first != int(first) or first < 0:
                raise SegplugError(f"{where}: class {first:g} is no whole number from 0")
            found.append((int(first), points.clip(0, 1)))
        return found


@dataclass(frozen=True)
class CocoShapes:
    """COCO `segmentation` values of one image, polygons in pixels or RLE; crowds of a crack class are crack."""

    path: Path
    size: tuple[int, int]  # (height, width) the file states for the image
    shapes: Sequence[Any] = field(repr=False)

    def values(self, height: int, width: int, image: Path) -> Pixels:
        _check_size(self.path, self.size, height, width, image)
        where = f"{self.path}: an outline of {image.name}"
        mask = np.zeros((height, width), dtype=np.uint8)
        for shape in self.shapes:
            if isinstance(shape, dict):
                mask |= self._rle(shape, image, height, width)
            else:
                mask |= _draw([_outline(part, where, height, width) for part in shape], height, width)
        return mask

    def _rle(self, shape: dict[str, Any], image: Path, height: int, width: int) -> Pixels:
        where = f"{self.path}: an RLE of {image.name}"
        if shape.get("size") != [height, width]:
            raise SegplugError(f"{where} has size {shape.get('size')}, not its image's")
        counts = shape.get("counts")
        runs: list[Any] = _unpacked(counts, where) if isinstance(counts, str) else counts or []
        if not all(type(run) is int and run >= 0 for run in runs) or sum(runs) != height * width:
            raise SegplugError(f"{where} does not fill its {width}x{height} pixels")
        return np.repeat(np.arange(len(runs), dtype=np.int64) % 2, runs).astype(np.uint8).reshape(width, height).T


@dataclass(frozen=True)
class LabelmeFile:
    """labelme's .json: shapes with a label; polygons, circles and masks have an area, others are refused."""

    path: Path
    crack: frozenset[str] | None  # None: every label

    def values(self, height: int, width: int, image: Path) -> Pixels:
        about = self._read()
        size = (about.get("imageHeight"), about.get("imageWidth"))
        _check_size(self.path, size, height, width, image)
        mask = np.zeros((height, width), dtype=np.uint8)
        for number, shape in enumerate(about["shapes"], start=1):
            if self.crack is None or str(shape["label"]) in self.crack:
                mask |= self._filled(shape, f"{self.path}: shape {number}", height, width)
        return mask

    def names(self) -> set[str]:
        """The labels in it."""
        return {str(shape["label"]) for shape in self._read()["shapes"]}

    def _read(self) -> dict[str, Any]:
        about = read_json(self.path)
        shapes = about.get("shapes") if isinstance(about, dict) else None
        wanted = {"label", "points"}
        if not isinstance(shapes, list) or not all(isinstance(s, dict) and wanted <= s.keys() for s in shapes):
            raise SegplugError(f"{self.path}: not a labelme file: shapes must be a list of entries with label, points")
        return about

    def _filled(self, shape: dict[str, Any], where: str, height: int, width: int) -> Pixels:
        kind, points = shape.get("shape_type", "polygon"), shape["points"]
        if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
            raise SegplugError(f"{where}: points must be a list of [x, y]", "redo it")
        flat = [value for point in points for value in point]
        if kind == "polygon":
            return _draw([_outline(flat, where, height, width)], height, width)
        if kind not in ("circle", "mask") or len(points) != 2:
            raise SegplugError(f"{where}: a {kind} has no outline of a crack", "draw polygons, or remove it")
        (x, y), (x2, y2) = np.array(_outline([*flat, *flat[:2]], where, height, width)).reshape(-1, 2)[:2]
        if kind == "circle":
            angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
            radius = math.hypot(x2 - x, y2 - y)
            circle = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
            return _draw([circle.ravel().tolist()], height, width)
        from PIL import Image

        try:
            with Image.open(io.BytesIO(base64.b64decode(str(shape.get("mask")), validate=True))) as picture:
                inside = np.asarray(picture.convert("L")) > 0
        except UNREADABLE as error:  # binascii.Error is a ValueError
            raise SegplugError(f"{where}: its mask is no picture ({error})", "draw it again") from error
        top, left = round(y), round(x)
        if top < 0 or left < 0 or top + inside.shape[0] > height or left + inside.shape[1] > width:
            raise SegplugError(f"{where}: its mask reaches out of the picture", "draw it again")
        filled = np.zeros((height, width), dtype=np.uint8)
        filled[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return filled


def _draw(outlines: Sequence[Sequence[float]], height: int, width: int) -> Pixels:
    """(H, W) of 0 and 1: the pixels inside any outline [x1, y1, x2, y2, …], as pycocotools fills it."""
    from pycocotools import mask as coco_mask

    if not outlines:
        return np.zeros((height, width), dtype=np.uint8)
    filled: Pixels = coco_mask.decode(coco_mask.frPyObjects([list(o) for o in outlines], height, width))
    return filled.max(axis=2)


def _outline(values: Any, where: str, height: int, width: int) -> list[float]:
    """[x1, y1, x2, y2, …] in pixels. Raises SegplugError on what pycocotools could not take."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        raise SegplugError(f"{where} has fewer than three points", "redo it")
    if not all(isinstance(v, (int, float)) and abs(v) <= FAR * max(height, width) for v in values):  # also NaN
        raise SegplugError(f"{where} has points far outside the {width}x{height} pixels, or none", "redo it")
    return [float(v) for v in values]


def _unpacked(counts: str, where: str) -> list[int]:
    """COCO's packed run lengths: 5 bits a letter, low ones first; from the fourth on less the one before last."""
    runs: list[int] = []
    value = shift = 0
    for letter in counts:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise SegplugError(f"{where} is damaged", "export it again")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _check_size(path: Path, stated: tuple[Any, Any], height: int, width: int, image: Path) -> None:
    if stated != (height, width):
        raise SegplugError(
            f"{image}: {width}x{height}, but {path.name} says {stated[1]}x{stated[0]}; "
            f"{turned(image, stated, height, width)}use the pictures that were labelled"
        )
