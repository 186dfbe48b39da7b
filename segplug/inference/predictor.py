"""A network from a file, ready to tell the probability of crack: a checkpoint, or what `segplug export` wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.errors import SegplugError

__all__ = ["Predictor", "load_predictor"]

DEFAULT_THRESHOLD = 0.5
EXPORTED = {".pt2", ".torchscript"}


@dataclass(frozen=True)
class Predictor:
    """probability_of: (H, W, 3) RGB uint8 of any size -> (H, W) probability of crack.

    digest: of the model's file, 16 hexadecimal digits. threshold: the one stored with the model.
    """

    path: Path
    digest: str
    threshold: float
    probability_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]]

    def with_flips(self) -> Predictor:
        """The same, averaged over the image and its mirror images left-right, up-down and both: four times the work."""

        def averaged(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            turns = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            return np.mean([self.probability_of(image[::y, ::x])[::y, ::x] for y, x in turns], axis=0, dtype=np.float32)

        return Predictor(self.path, self.digest, self.threshold, averaged)


def load_predictor(path: Path, device: str = "auto") -> Predictor:
    """Load a model file. Raises SegplugError on one that is missing, unreadable or not of segplug.

    .onnx runs in onnxruntime and imports no torch; .pt2 and .torchscript run in torch on the CPU without segplug's
    model code; every other file is a checkpoint.
    """
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
    from segplug.inference.checkpoint import load_model
    from segplug.inference.probability import crack_probability, fast_layout, pick_device

    place = pick_device(device)
    network = fast_layout(load_model(path)[0].to(place), place)
    return Predictor(path, _digest(path), DEFAULT_THRESHOLD, lambda image: crack_probability(network, image, place))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
