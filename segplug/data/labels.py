"""Where a label lies and how to draw it: mask files, YOLO and COCO outlines, CFD's .mat, no label at all.

Every label gives (H, W) uint8 in the size of its image: 0 background, 1 crack, 255 no label. Only a MaskFile's values
still have to go through the data set's encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segplug.data.mask_encoding import MaskRules
from segplug.data.read_image import orientation, read_mask_values
from segplug.errors import SegplugError

__all__ = ["CocoShapes", "CrackFree", "Label", "MappedMask", "MaskFile", "MatFile", "YoloFile"]


class Label(Protocol):
    """A label of one image."""

    @property
    def path(self) -> Path:
        """The file that holds it."""

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        """(H, W) uint8. Raises SegplugError that names the file and the remedy."""


@dataclass(frozen=True)
class MaskFile:
    """A picture of stored values that the encoding found for the whole data set turns into 0, 1 and 255."""

    path: Path
    rules: MaskRules

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        return _sized(read_mask_values(self.path), self.path, height, width, image)


@dataclass(frozen=True)
class MappedMask:
    """A picture of class ids: stored value -> 0, 1 or 255. Other values are refused."""

    path: Path
    table: Mapping[int, int]

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        stored = _sized(read_mask_values(self.path), self.path, height, width, image)
        for value in np.flatnonzero(np.bincount(stored.ravel(), minlength=256)):
            if int(value) not in self.table:
                raise SegplugError(
                    f"{self.path}: mask value {value} is no class id of the data set; add "
                    f"`label_mapping: {{{value}: 1}}` to its YAML if it is crack, 0 if background"
                )
        table = np.zeros(256, dtype=np.uint8)
        table[list(self.table)] = list(self.table.values())
        return table[stored]


@dataclass(frozen=True)
class MatFile:
    """CFD's groundTruth.Segmentation: 1 background, 2 crack, whatever `crack` says else."""

    path: Path
    crack: tuple[int, ...] | None = None

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            regions = np.asarray(loadmat(self.path)["groundTruth"]["Segmentation"].item())
        except NotImplementedError as error:  # scipy's word for HDF5
            raise SegplugError(f'{self.path}: MATLAB 7.3 file; save it again with save(…, "-v7")') from error
        except (KeyError, IndexError, ValueError, TypeError, OSError, EOFError, MatReadError) as error:
            reason = " ".join(str(error).split())
            raise SegplugError(
                f"{self.path}: not a .mat file with groundTruth.Segmentation ({reason}); restore or remove it"
            ) from error
        if regions.ndim != 2 or not np.issubdtype(regions.dtype, np.number):
            raise SegplugError(f"{self.path}: Segmentation is {regions.shape} {regions.dtype}, wanted a matrix of ids")
        _sized(regions, self.path, height, width, image)
        found = np.unique(regions).tolist()
        if self.crack is None and not set(found) <= {1, 2}:
            raise SegplugError(
                f"{self.path}: region ids {', '.join(f'{v:g}' for v in found[:6])}, expected 1 (background) and "
                "2 (crack); say which are crack, as --crack-values 2,3"
            )
        return np.isin(regions, self.crack or (2,)).astype(np.uint8)


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
                f"{_turned(image, self.size, height, width)}use the pictures that were labelled"
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


@dataclass(frozen=True)
class CrackFree:
    """An image that came without label and, when asked so, counts as empty."""

    path: Path

    def values(self, height: int, width: int, image: Path) -> NDArray[np.uint8]:
        return np.zeros((height, width), dtype=np.uint8)


def draw(outlines: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W) of 0 and 1: the pixels inside any outline [x1, y1, x2, y2, …], as pycocotools fills it."""
    from pycocotools import mask as coco_mask

    if not outlines:
        return np.zeros((height, width), dtype=np.uint8)
    filled: NDArray[np.uint8] = coco_mask.decode(coco_mask.frPyObjects([list(o) for o in outlines], height, width))
    return filled.max(axis=2)


def _sized(values: NDArray[Any], path: Path, height: int, width: int, image: Path) -> NDArray[Any]:
    if values.shape != (height, width):
        h, w = values.shape
        raise SegplugError(
            f"{path}: mask is {w}x{h} but {image.name} is {width}x{height}; "
            f"{_turned(image, (h, w), height, width)}resize or redo the mask"
        )
    return values


def _turned(image: Path, label_size: tuple[int, int], height: int, width: int) -> str:
    if label_size == (width, height) and orientation(image) >= 5:
        return f"the camera turned the photo (EXIF orientation {orientation(image)}): turn the mask too, or "
    return ""
