"""A small checkpoint that finds something everywhere, and a photo."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import ultralytics
import yaml
from torch import nn

SIZE = (60, 100)

ROWS = [
    [-1, 1, "Conv", [8, 3, 2]],
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "GatedConv", [16, 3, 2]],
    [-1, 1, "C2f_gnConv", [16, True, {"order": 2}]],
    [-1, 1, "DCNv2", [32, 3, 2]],
    [-1, 1, "CondConv", [32, 3, 1]],
    [-1, 1, "DBB", [32, 3, 1]],
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of eight rows that finds something everywhere."""
    folder = tmp_path_factory.mktemp("look")
    model = {"nc": 2, "backbone": ROWS, "head": [[[3, 6], 1, "Detect", ["nc"]]]}
    (folder / "small.yaml").write_text(yaml.safe_dump(model))
    torch.manual_seed(0)
    yolo = ultralytics.YOLO(str(folder / "small.yaml"))
    yolo.model.names = {0: "crack", 1: "hole"}
    with torch.no_grad():
        for branch in yolo.model.model[-1].cv3:
            branch[-1].bias.fill_(-1.0)
            nn.init.normal_(branch[-1].weight, std=0.3)
    yolo.save(folder / "small.pt")
    return folder / "small.pt"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photo") / "wall.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8))
    return file
