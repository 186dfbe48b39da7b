"""What the plug-in's tests share."""

from collections.abc import Callable

import pytest
from torch import nn


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

    return randomise
