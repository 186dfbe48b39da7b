"""A network from a file, ready to tell the probability of crack: a checkpoint, or what `segplug export` wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from segplug.arrays import Floats, Pixels
from segplug.errors import SegplugError
from segplug.inference.tiling import check_tile, tiled_probability
from segplug.weights import model_file

if TYPE_CHECKING:
    from torch import nn

DEFAULT_THRESHOLD = 0.5
EXPORTED = {".pt2", ".torchscript"}
LEAST_PX = 96
"""Of a photo made small: six cells of an encoder cut at stride 16; there is little left to see below it."""
STEP = 2e-6
"""Of a network's own float32 probability: what is nearer to 0 or 1 counts as half of this in log-odds."""


@dataclass(frozen=True)
class Predictor:
    """Called with a photo it gives the probability of crack of each pixel.

    digest: of the model's file, 16 hexadecimal digits. threshold: the one stored with the model. network: the file's
    contents as a function of one (H, W, 3) photo. scales: sizes of the photo that are averaged, 1 being its own.
    """

    path: Path
    digest: str
    threshold: float
    network: Callable[[Pixels], Floats]
    scales: tuple[float, ...] = (1,)

    def __call__(self, image: Pixels, tile: int | None = None) -> Floats:
        """(H, W, 3) RGB uint8 of any size -> (H, W). tile: a larger image goes through in blended tiles of this side.

        Raises SegplugError on another array, on a tile too small, and when the network gives NaN.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise SegplugError(f"a photo must be (H, W, 3) RGB uint8, got {image.dtype} {image.shape}")
        if tile is not None:
            check_tile(tile)
        probability = tiled_probability(image, self.at_scales, tile or max(image.shape))
        if not np.isfinite(probability).all():
            raise SegplugError(f"{self.path}: the model gives NaN; its weights are broken, train again")
        return probability

    def with_flips(self) -> Predictor:
        """The same, averaged over the image and its mirror images left-right, up-down and both: four times the work."""

        def mirrored(image: Pixels) -> Floats:
            turns = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            return averaged([self.network(image[::y, ::x])[::y, ::x] for y, x in turns])

        return replace(self, network=mirrored)

    def with_scales(self, scales: Sequence[float]) -> Predictor:
        """The same with other `scales`. Raises SegplugError on one outside 0.1 … 4."""
        if not scales or not all(0.1 <= scale <= 4 for scale in scales):
            raise SegplugError(f"scales must be numbers from 0.1 to 4, got {', '.join(map(str, scales)) or 'none'}")
        return replace(self, scales=tuple(scales))

    def at_scales(self, image: Pixels) -> Floats:
        """`network`, averaged over `scales` in log-odds, of an image of at most one tile.

        A scale below 1 at which the short side falls below LEAST_PX is left out; if none is left, the first is taken.
        """
        seen = [scale for scale in self.scales if scale >= 1 or scale * min(image.shape[:2]) >= LEAST_PX]
        return averaged([self._at(image, scale) for scale in seen or self.scales[:1]])

    def _at(self, image: Pixels, scale: float) -> Floats:
        h, w = image.shape[:2]
        size = max(1, round(w * scale)), max(1, round(h * scale))
        if size == (w, h):
            return self.network(image)
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        found = self.network(np.asarray(resized, np.uint8))
        return np.asarray(cv2.resize(found, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def load(path: Path | str, device: str = "auto") -> Predictor:
    """Load a model file, or a model that comes with the package by its name: `load("best.ckpt")(photo)`.

    .onnx runs in onnxruntime and imports no torch; .pt2 and .torchscript run in torch on the CPU without segplug's
    model code; every other file is a checkpoint. Raises SegplugError on a file that is missing, unreadable or not of
    segplug.
    """
    path = model_file(path)
    if not path.is_file():
        raise SegplugError(f"{path}: no such model file")
    if path.suffix == ".onnx":
        from segplug.inference.onnx_model import OnnxModel

        onnx_model = OnnxModel(path, device)
        return Predictor(path, _digest(path), onnx_model.about["threshold"], onnx_model.probability)
    if path.suffix in EXPORTED:
        from segplug.inference.torch_model import load_exported

        if device not in ("auto", "cpu"):
            raise SegplugError(
                f"{path}: runs where it was traced, on the cpu, not on {device!r}; use checkpoint or ONNX"
            )
        model, about = load_exported(path)
        return Predictor(path, _digest(path), about["threshold"], model.probability)
    return load_checkpoint(path, device)[0]


def load_checkpoint(path: Path | str, device: str = "auto") -> tuple[Predictor, nn.Module, dict[str, Any]]:
    """(predictor, the network it calls, what the file says beside its weights) of a checkpoint. Raises SegplugError."""
    from segplug.inference.checkpoint import load_model
    from segplug.inference.probability import crack_probability, fast_layout, pick_device

    path, place = model_file(path), pick_device(device)
    loaded, about = load_model(path)
    network = fast_layout(loaded.to(place), place)
    threshold, scales = about.get("threshold", DEFAULT_THRESHOLD), tuple(about.get("scales", (1,)))
    seen = Predictor(path, _digest(path), threshold, lambda image: crack_probability(network, image, place), scales)
    return seen, network, about


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def log_odds(probability: Floats, step: float = STEP) -> Floats:
    """log(p / (1 - p)); p is kept half a `step` from 0 and 1, so that it stays finite."""
    inner = probability.astype(np.float64).clip(step / 2, 1 - step / 2)
    return np.log(inner / (1 - inner)).astype(np.float32)


def averaged(maps: Sequence[Floats]) -> Floats:
    """The probability whose log-odds are the mean of those of `maps`, all (H, W); one map is given back as it is.

    One sure view then outweighs several that are in doubt, as it would not in a mean of probabilities.
    """
    if len(maps) == 1:
        return maps[0]
    mean = np.mean([log_odds(probability) for probability in maps], axis=0, dtype=np.float32)
    return np.asarray(1 / (1 + np.exp(-mean)), np.float32)
