"""A stand-in for a network that finds every dark pixel, so that results are known to the pixel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.inference.predictor import Predictor
from segplug.prediction import predict

Pixels = NDArray[np.uint8]


def darkness(image: Pixels) -> NDArray[np.float32]:
    return (255 - image[..., 1]).astype(np.float32) / 255


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """find(sources, save=…) predicts with that network into tmp_path/found; `find.seen` counts its images."""
    seen: list[tuple[int, ...]] = []

    def probability_of(image: Pixels) -> NDArray[np.float32]:
        seen.append(image.shape)
        return darkness(image)

    def load(path: Path | str, device: str) -> Predictor:
        return Predictor(Path(path), str(path), 0.5, probability_of)

    monkeypatch.setattr("segplug.prediction.run.load", load)

    def call(sources: Any, **options: Any) -> list[dict[str, Any]]:
        return predict(options.pop("model", "dark"), sources, tmp_path / "found", **{"tile": 256, **options})

    call.seen = seen  # type: ignore[attr-defined]
    return call


def draw(height: int = 60, width: int = 80, seed: int = 0) -> tuple[Pixels, NDArray[np.bool_]]:
    """(H, W, 3) RGB photo and (H, W) its dark pixels: a line and a spot that touches it at a corner only."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(180, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.line(mask, (5, 10), (width - 10, height - 20), 1, 3)
    mask[height - 5 : height - 2, 2:6] = 1
    mask[height - 2, 6] = 1
    photo[mask > 0] = rng.integers(0, 70, (int(mask.sum()), 3), dtype=np.uint8)
    return photo, mask > 0


def save(path: Path, photo: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), photo[..., ::-1])
    return path
