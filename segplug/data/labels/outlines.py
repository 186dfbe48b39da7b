"""Outlines that are filled: YOLO's text files and COCO's polygons and run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segplug.data.labels.size import turned
from segplug.errors import SegplugError

__all__ = ["CocoShapes", "YoloFile"]


@dataclass(frozen=True)
class YoloFile:
    """Lines `class x1 y1 x2 y2 …` with coordinates as shares of width and height; an empty file has no object."""

    path: Path
    crack: frozenset[int] | None  # None: every class

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        scale = np.array([width, height])
        outlines = [points * scale for number, points in self.objects() if self.crack is None or number in self.crack]
        return draw([o.ravel().tolist() for o in outlines], height, width)

    def objects(self) -> list[tuple[int, NDArray[np.float64]]]:
        """(class, (n, 2) outline) of each line."""
        found = []
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise SegplugError(f"{self.path}: not a text file; restore or remove it") from error
        for i, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{self.path}, line {i}"
            try:
                first, *rest = (float(part) for part in line.split())
            except ValueError as error:
                raise SegplugError(f"{where}: holds something else than numbers; redo it") from error
            if len(rest) == 4:
                raise SegplugError(
                    f"{where}: a box, not an outline; segplug needs segment labels (x1 y1 x2 y2 x3 y3 …)"
                )
            if len(rest) < 6 or len(rest) % 2:
                raise SegplugError(f"{where}: {len(rest)} coordinates; an outline has at least three points of two")
            points = np.array(rest).reshape(-1, 2)
            if not (np.isfinite(points).all() and points.min() >= -0.01 and points.max() <= 1.01):
                raise SegplugError(
                    f"{where}: coordinates from {points.min():g} to {points.max():g}; divide them by width and height"
                )
            if first != int(first) or first < 0:
                raise SegplugError(f"{where}: class {first:g} is no whole number from 0")
            found.append((int(first), points.clip(0, 1)))
        return found


@dataclass(frozen=True)
class CocoShapes:
    """COCO `segmentation` values of one image, polygons in pixels or RLE; crowds of a crack class are crack."""

    path: Path
    size: tuple[int, int]  # (height, width) the file states for the image
    shapes: Sequence[Any] = field(repr=False)

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        if self.size != (height, width):
            raise SegplugError(
                f"{image}: {width}x{height}, but {self.path.name} says {self.size[1]}x{self.size[0]}; "
                f"{turned(image, self.size, height, width)}use the pictures that were labelled"
            )
        mask = np.zeros((height, width), dtype=np.uint8)
        for shape in self.shapes:
            if isinstance(shape, dict):
                mask |= self._rle(shape, image, height, width)
                continue
            if not all(len(part) >= 6 and len(part) % 2 == 0 for part in shape):
                raise SegplugError(f"{self.path}: an outline of {image.name} has fewer than three points; redo it")
            mask |= draw(shape, height, width)
        return mask

    def _rle(self, shape: dict[str, Any], image: Path, height: int, width: int) -> NDArray[np.uint8]:
        from pycocotools import mask as coco_mask

        if list(shape.get("size", [])) != [height, width]:
            raise SegplugError(f"{self.path}: an RLE of {image.name} has size {shape.get('size')}, not its image's")
        if isinstance(shape.get("counts"), list):
            if sum(shape["counts"]) != height * width:
                raise SegplugError(f"{self.path}: an RLE of {image.name} does not fill its {width}x{height} pixels")
            shape = coco_mask.frPyObjects(shape, height, width)
        return coco_mask.decode(shape)


def draw(outlines: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W) of 0 and 1: the pixels inside any outline [x1, y1, x2, y2, …], as pycocotools fills it."""
    from pycocotools import mask as coco_mask

    if not outlines:
        return np.zeros((height, width), dtype=np.uint8)
    filled: NDArray[np.uint8] = coco_mask.decode(coco_mask.frPyObjects([list(o) for o in outlines], height, width))
    return filled.max(axis=2)
