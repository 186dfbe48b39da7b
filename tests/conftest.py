"""One seed, one thread set-up and a private Ultralytics configuration for every test."""

import os
import tempfile

# Before the first import of ultralytics, which reads it once; child processes inherit it.
os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="yoloplug-tests-")
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep: tests beside other work stay fast

import ctypes
import math
import mmap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from platformdirs import user_cache_path

from yoloplug.native import library, use
from yoloplug.native.build import cached

Recorded = Callable[[str, str], None]
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-recorded",
        action="store_true",
        help="rewrite what tests record: output numbers and class paths of the blocks, a whole report",
    )
    parser.addoption("--measurements", metavar="FILE", help="add what was compared, one JSON object a line, to FILE")


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Recorded:
    """recorded(name, text): the text is that of recorded/name beside the test."""

    def check(name: str, text: str) -> None:
        path = request.path.parent / "recorded" / name
        if request.config.getoption("--update-recorded"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def double_kernels() -> ctypes.CDLL:
    """The kernels' C source for double: what gradient checks and the recorded float64 tensors can be compared with."""
    return ctypes.CDLL(str(cached(user_cache_path("yoloplug") / "native", real="double")))


@pytest.fixture
def untouched() -> Callable[..., torch.Tensor]:
    """untouched(*shape): a tensor of any size; only what is written to takes memory."""
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)  # a name since Python 3.11

    def tensor(*shape: int) -> torch.Tensor:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
        return torch.frombuffer(mmap.mmap(-1, 4 * math.prod(shape), flags=flags), dtype=torch.float32).view(shape)

    return tensor


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch, double_kernels: ctypes.CDLL) -> None:
    """Kernels compute in float64, and float64 only."""
    monkeypatch.setattr(library, "_load", lambda: (double_kernels, library.Status(Path(), "for double")))
    monkeypatch.setattr(use, "_TYPES", (torch.float64,))


@pytest.fixture(params=["torch", "kernels"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs twice in float64: with torch's operations and with the kernels."""
    if request.param == "torch":
        monkeypatch.setenv("YOLOPLUG_NATIVE", "0")
    else:
        request.getfixturevalue("in_double")


@pytest.fixture(scope="session")
def tiny_detection_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data.yaml of eight 64 px images, each with one bright square on noise: a real, learnable data set."""
    root = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for number in range(8):
        image = random.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        x, y, side = random.integers(4, 32, 3)
        image[y : y + side, x : x + side] = 220
        split = "train" if number < 6 else "val"
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "images" / split / f"{number}.png"), image)
        box = [(x + side / 2) / 64, (y + side / 2) / 64, side / 64, side / 64]
        (root / "labels" / split / f"{number}.txt").write_text("0 " + " ".join(f"{v:.6f}" for v in box))
    yaml = root / "data.yaml"
    yaml.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: [square]\n")
    return yaml
