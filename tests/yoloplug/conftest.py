"""What the plug-in's tests share."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import nn

from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d

Measured = Callable[[str, str, str, float], None]


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """measured(kind, block, reference, error): note a relative error for docs/catalogue.py (`--measurements FILE`)."""
    option = request.config.getoption("--measurements")
    file = None if option is None else Path(option)

    def note(kind: str, block: str, reference: str, error: float) -> None:
        if file is not None:
            with file.open("a", encoding="utf-8") as lines:
                row = {"kind": kind, "block": block, "reference": reference, "error": float(error)}
                lines.write(json.dumps(row) + "\n")

    return note


@pytest.fixture
def randomise_norms() -> Callable[[nn.Module], None]:
    """Gives BatchNorm layers trained-looking statistics, so that folding them is a real test."""

    def randomise(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                if isinstance(module, CorrectedBatchNorm2d):
                    module.set_statistics(module.running_mean, module.running_var)

    return randomise


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What Ultralytics' logger says during the test."""
    from ultralytics.utils import LOGGER

    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Kept()
    LOGGER.addHandler(handler)
    yield lines
    LOGGER.removeHandler(handler)
