"""No cache keeps tensors made under inference_mode: they cannot be part of a later training step."""

import gc

import pytest
import torch

from yoloplug.blocks import DDFUp, DynamicFilterLayer, OctavePair, gnConv
from yoloplug.registry import BLOCKS

NAMES = sorted(BLOCKS)


def inference_tensors() -> set[int]:
    return {id(value) for value in gc.get_objects() if isinstance(value, torch.Tensor) and value.is_inference()}


@pytest.mark.parametrize("name", [*NAMES, "DDFUp", "OctavePair", "DynamicFilterLayer", "gnConv global_local"])
def test_nothing_is_left_of_inference_and_training_goes_on(name: str) -> None:
    x = (torch.randn(2, 16, 9, 11),)
    if name in BLOCKS:
        module = BLOCKS[name].cls(16, 24) if BLOCKS[name].kind == "conv" else BLOCKS[name].cls(16)
    elif name == "DynamicFilterLayer":
        module, x = DynamicFilterLayer(grouping=True), (*x, torch.randn(2, 9, 9, 11, requires_grad=True))
    else:
        module = {"DDFUp": DDFUp, "OctavePair": lambda c: OctavePair(c, c, alpha_in=0)}.get(
            name, lambda c: gnConv(c, 4, filter="global_local")
        )(16)
    gc.collect()
    before = inference_tensors()
    with torch.inference_mode():
        module.eval()(*x)
    gc.collect()
    assert not inference_tensors() - before, "a tensor of inference_mode is kept"
    y = module.train()(*x)
    (y if isinstance(y, torch.Tensor) else y[0]).square().sum().backward()
