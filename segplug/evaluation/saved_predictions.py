"""A folder of predictions of any program: masks or probability maps, one file an image, matched by file stem.

Read: 8- and 16-bit pictures and `.npy`. Masks hold 0 and 1, or 0 and the highest value of their type (255, 65535);
probability maps grey values from 0 to that, or floats from 0 to 1. What could be read in two ways is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Floats
from segplug.data.images.listing import by_name, list_images
from segplug.data.labels.mask_file import read_grey
from segplug.data.sample import Sample
from segplug.errors import SegplugError

REMEDY = "save masks as 8-bit 0/255, probabilities as float .npy or 8-bit grey from 0 to 255"
FLOAT_STEP = 1e-6


@dataclass(frozen=True)
class _Stored:
    """What a file's values tell. full: the highest of its type, 1 for floats. grey: has middle levels."""

    path: Path
    highest: float
    full: float
    grey: bool
    ids: bool  # 0, 1 and the highest together, which without grey levels elsewhere would be class ids


class PredictionFolder:
    """The predictions of `samples`, checked one by one in the constructor.

    shapes: (height, width) of each sample's image. Raises SegplugError, with file and remedy, on a missing, additional,
    unreadable, wrongly sized or ambiguous file.
    """

    def __init__(self, folder: Path, samples: Sequence[Sample], shapes: Sequence[tuple[int, int]]) -> None:
        self._files = _match(folder, samples)
        stored = [_examine(self._files[sample.name], shape) for sample, shape in zip(samples, shapes, strict=True)]
        self._unit = _common_unit(stored)

    def probability(self, sample: Sample) -> tuple[Floats, float]:
        """(H, W) probability of crack, and the step between neighbouring probabilities that its file can hold."""
        values = _read(self._files[sample.name])
        if values.dtype == bool or values.dtype.kind == "f":
            return values.astype(np.float32), FLOAT_STEP
        unit = self._unit.get(values.dtype.name, 1.0)
        return (values / unit).astype(np.float32), 1 / np.iinfo(values.dtype).max


def _match(folder: Path, samples: Sequence[Sample]) -> dict[str, Path]:
    files = by_name(list_images(folder, also=(".npy",)).files)
    if not files:
        inside = next((name for name in ("masks", "probabilities") if (folder / name).is_dir()), None)
        hint = f"; did you mean {folder / inside}?" if inside else ""
        raise SegplugError(f"{folder}: holds no prediction (pictures or .npy){hint}")
    names = {sample.name for sample in samples}
    for sample in samples:
        if sample.name not in files:
            raise SegplugError(
                f"{folder}: no prediction {sample.name}.* for {sample.image}; add it (all 0 where nothing was found)"
            )
    for stem, file in files.items():
        if stem not in names:
            raise SegplugError(
                f"{file}: no image of that name among the {len(names)} scored; remove it or change split"
            )
    return files


def _examine(path: Path, shape: tuple[int, int]) -> _Stored:
    values = _read(path)
    if values.shape != shape:
        got = "x".join(map(str, values.shape[::-1]))
        raise SegplugError(f"{path}: prediction is {got} but its image is {shape[1]}x{shape[0]}; save it in image size")
    if values.dtype == bool:
        return _Stored(path, float(values.max()), 1, False, False)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # also NaN
            raise SegplugError(
                f"{path}: values from {low:g} to {high:g} are no probabilities; apply a sigmoid to logits"
            )
        return _Stored(path, high, 1, False, False)
    if values.dtype.name not in ("uint8", "uint16"):
        raise SegplugError(f"{path}: {values.dtype} values; {REMEDY}")
    full = float(np.iinfo(values.dtype).max)
    levels = set(np.flatnonzero(np.bincount(values.ravel())).tolist())
    grey = any(full / 8 < level < full * 7 / 8 for level in levels)
    return _Stored(path, high, full, grey, levels | {0} == {0, 1, full})


def _common_unit(stored: Sequence[_Stored]) -> dict[str, float]:
    """Type name -> the value of probability 1, one for all files of that type. Grey levels in one settle it for all."""
    units: dict[str, float] = {}
    for name, full in (("uint8", 255.0), ("uint16", 65535.0)):
        files = [s for s in stored if s.full == full and s.highest > 0]
        if not files:
            continue
        low, high = min(files, key=lambda s: s.highest), max(files, key=lambda s: s.highest)
        if not any(s.grey for s in files):
            if ids := next((s for s in files if s.ids), None):
                raise SegplugError(f"{ids.path}: only 0, 1 and {full:.0f}: class ids with an ignored class? {REMEDY}")
            if low.highest == 1 != high.highest:
                raise SegplugError(
                    f"{low.path}: only 0 and 1, but {high.path.name} reaches {high.highest:.0f}, and no file has grey "
                    f"values that would tell masks from probabilities; {REMEDY}, the same in all"
                )
        if high.highest != 1 and high.highest < full / 2:
            raise SegplugError(
                f"{high.path}: its highest value, {high.highest:.0f}, is the highest of the folder and below half of "
                f"{full:.0f}: class ids? {REMEDY}"
            )
        units[name] = 1.0 if high.highest == 1 else full
    return units


def _read(path: Path) -> NDArray[Any]:
    if path.suffix.lower() != ".npy":
        return read_grey(path)
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SegplugError(f"{path}: not a readable .npy file ({error}); save it again with numpy.save") from error
    if values.size == 0:
        raise SegplugError(f"{path}: empty array; save it again")
    return values
