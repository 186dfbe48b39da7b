"""No module keeps a tensor made under `inference_mode`: whoever predicted can train in the same process."""

import pytest
import torch
from torch import nn

from segplug.models.create import MODELS, create_model
from yoloplug import BLOCKS

SIZE = 24


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_blocks_train_after_they_predicted(name: str) -> None:
    row = BLOCKS[name]
    block = row.cls(*((32,) if row.kind == "keep" else (32, 32)))
    predict_then_train(block, torch.rand(2, 32, SIZE, SIZE))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_train_after_they_predicted(name: str) -> None:
    predict_then_train(create_model(name), torch.rand(2, 3, 64, 64))


def predict_then_train(module: nn.Module, image: torch.Tensor) -> None:
    with torch.inference_mode():
        module.eval()(image)
    output = module.train()(image)
    (output if isinstance(output, torch.Tensor) else output[0]).sum().backward()
    kept = [v for m in module.modules() for v in vars(m).values() if isinstance(v, torch.Tensor)]
    assert not any(tensor.is_inference() for tensor in [*module.state_dict().values(), *kept])
