"""One seed, one thread set-up and a private Ultralytics configuration for every test."""

import os
import tempfile

# Before the first import of ultralytics, which reads it once; child processes inherit it.
os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="yoloplug-tests-")
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"

import pytest
import torch

torch.set_num_threads(min(2, os.cpu_count() or 1))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the recorded output numbers of the blocks")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
