"""A small network as if pretrained, and changed ones that start as it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from yoloplug import BLOCKS

SMALL: dict[str, Any] = {
    "nc": 6,
    "backbone": [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "C2f", [32, True]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 2, "C2f", [128, True]],
    ],
    "head": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C2f", [64]],
        [[8, 5], 1, "Detect", ["nc"]],
    ],
}
"""A detector in yolov8's style, of hidden widths 16, 32 and 64."""


@pytest.fixture(scope="session")
def looks_trained() -> Callable[[DetectionModel], DetectionModel]:
    """Gives a network the norms of a trained one."""

    def change(model: DetectionModel) -> DetectionModel:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.3, 0.3)
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.001, 0.6)
        return model

    return change


@pytest.fixture(scope="session")
def stock(looks_trained: Callable[[DetectionModel], DetectionModel]) -> DetectionModel:
    torch.manual_seed(1)
    return looks_trained(DetectionModel(copy.deepcopy(SMALL), verbose=False))


def swapped(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The network's YAML with the block in every C2f, or in every row for which it stands."""
    config = copy.deepcopy(SMALL)
    widths = {"nn.Upsample": [64, 2, 2]}
    replaced = {"TransposedConv": "nn.Upsample", "HorStem": "Conv", "HorDownsample": "Conv"}
    for row in [*config["backbone"], *config["head"]]:
        if row[2] == replaced.get(name, "C2f"):
            row[2:] = [name if name in replaced else f"C2f_{name}", [*widths.get(row[2], row[3]), options]]
    assert BLOCKS[name].place != "row" or name in replaced
    return config


@pytest.fixture(scope="session")
def preserved(stock: DetectionModel) -> Callable[..., DetectionModel]:
    """preserved(name, **options): the changed network, loaded from the stock one as users do."""

    def make(name: str, **options: Any) -> DetectionModel:
        torch.manual_seed(2)
        model = DetectionModel(swapped(name, {"preserve": True, **options}), verbose=False)
        model.load(stock, verbose=False)
        model.args = get_cfg()
        return model

    return make


@pytest.fixture(scope="session")
def heads() -> Callable[..., list[torch.Tensor]]:
    """heads(model, x, training): the maps that the detection head receives."""

    def maps(model: DetectionModel, x: torch.Tensor, training: bool) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []
        hook = model.model[-1].register_forward_pre_hook(lambda _, args: seen.extend(t.clone() for t in args[0]))
        with torch.no_grad():
            model.train(training)(x)
        hook.remove()
        return seen

    return maps
