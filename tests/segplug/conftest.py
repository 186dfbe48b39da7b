"""Drawn cracks: dark polylines on noisy concrete, with their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segplug.training.config import TrainConfig

TINY = "tu-lcnet_050"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Equal sums on every machine, and no fight for cores under pytest-xdist."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw_crack(seed: int, height: int = 64, width: int = 64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(H, W, 3) photo and (H, W) mask of 0 and 255."""
    rng = np.random.default_rng(seed)
    photo = rng.normal(150, 12, (height, width, 1)).repeat(3, axis=2)
    mask = np.zeros((height, width), dtype=np.uint8)
    x = np.linspace(0, width - 1, 8)
    y = np.clip(height / 2 + rng.normal(0, height / 8, 8).cumsum(), 2, height - 3)
    cv2.polylines(mask, [np.stack([x, y], axis=1).astype(np.int32)], False, 255, 3)
    photo[mask > 0] -= 80
    return photo.clip(0, 255).astype(np.uint8), mask


AddCrack = Callable[..., None]


@pytest.fixture
def add_crack() -> AddCrack:
    """add_crack(folder, name, seed=0, height=64, width=64) writes images/name.png and masks/name.png.

    `mask_suffix` and `mask_size` change the mask's file type and (height, width).
    """

    def add(
        folder: Path,
        name: str,
        seed: int = 0,
        height: int = 64,
        width: int = 64,
        mask_suffix: str = ".png",
        mask_size: tuple[int, int] | None = None,
    ) -> None:
        photo, mask = draw_crack(seed, height, width)
        if mask_size is not None:
            mask = draw_crack(seed, *mask_size)[1]
        for kind, pixels, suffix in (("images", photo[..., ::-1], ".png"), ("masks", mask, mask_suffix)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / kind / f"{name}{suffix}"), pixels)

    return add


@pytest.fixture
def cracks(tmp_path: Path, add_crack: AddCrack) -> Path:
    """train (8, two crops a photo) and test (2) of 64x64, one test image of an odd size."""
    root = tmp_path / "cracks"
    for i in range(8):
        add_crack(root / "train", f"photo{i // 2}-{i % 2}", seed=i)
    add_crack(root / "test", "a", seed=20)
    add_crack(root / "test", "b", 21, 50, 75)
    return root


@pytest.fixture
def tiny(cracks: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """A configuration that trains in a second; keywords override."""

    def build(**changes: object) -> TrainConfig:
        settings = {
            "data": str(cracks),
            "encoder": TINY,
            "options": {"encoder_depth": 4, "decoder_channels": [32, 16, 16], "detail_channels": 8},
            "epochs": 2,
            "batch": 3,
            "crop": 64,
            "val_split": 0.25,
            "device": "cpu",
            "out": str(tmp_path / "run"),
        }
        return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]

    return build
