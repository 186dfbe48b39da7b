"""Stock Ultralytics sorts our parameters as its own: gains and biases without decay, kernels to Muon as kernels."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer

from yoloplug import BLOCKS, hosts
from yoloplug.blocks import DDFUp, ExpertConv2d, GroupBatchnorm2d
from yoloplug.blocks.gbc import GBC
from yoloplug.blocks.sc_conv import SRU

muon = pytest.importorskip("ultralytics.optim.muon")


def models() -> Iterator[tuple[str, nn.Module]]:
    """Every block behind its host, and what options or Python users add."""
    for name in sorted(BLOCKS):
        options = {"bias": True} if name in ("CondConv", "DynamicConv", "DOConv", "GraphConv") else {}
        yield name, hosts.host(name)(64, 64, 3, 1, options)
    yield "GBC with a gain", GBC(64, zero_init=True)
    yield "DDFUp", DDFUp(16)
    yield "SRU", SRU(16, 4, norm=GroupBatchnorm2d)
    yield "ExpertConv2d", ExpertConv2d(16, 16, bias=True)


def groups(module: nn.Module, optimizer: str) -> dict[str, dict[str, Any]]:
    """Name of each parameter -> the group that stock `build_optimizer` puts it in."""
    model = nn.Sequential()
    model.model = nn.Sequential(module, nn.Linear(1, 1))
    trainer = SimpleNamespace(args=SimpleNamespace(), data={"nc": 1})
    built = BaseTrainer.build_optimizer(trainer, model, optimizer, 0.01, 0.9, decay=1e-3)
    found = {id(p): group for group in built.param_groups for p in group["params"]}
    return {name: found[id(parameter)] for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("optimizer", ["SGD", "MuSGD"])
@pytest.mark.parametrize(("name", "module"), list(models()))
def test_decay_is_for_kernels_and_every_kernel_is_one(name: str, module: nn.Module, optimizer: str) -> None:
    shapes = {key: parameter.shape for key, parameter in module.named_parameters()}
    for key, group in groups(module, optimizer).items():
        kernel = len(shapes[key]) in (2, 4)
        expert_bias = key.endswith("bias") and kernel  # (experts, c2): one bias an expert
        assert kernel or max(shapes[key]) == shapes[key].numel(), f"{key} {tuple(shapes[key])}: no kernel, no vector"
        if optimizer == "MuSGD":
            assert bool(group.get("use_muon")) == kernel, key
        if not expert_bias:
            assert (group["weight_decay"] > 0) == kernel, f"{key} {tuple(shapes[key])}"
            assert not (group["param_group"] == "bias" and kernel), f"{key}: a matrix among the biases"


@pytest.mark.parametrize("c", [16, 32, 64, 128])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", ["CondConv", "DynamicConv", "ODConv", "ExpertConv2d", "DOConv"])
def test_a_muon_step_of_a_kernel_is_as_long_as_a_convolutions(name: str, k: int, c: int) -> None:
    """Every expert's change against that of a stock kernel of the same width: it was 4 to 13 times smaller."""

    def step(weight: torch.Tensor) -> float:
        return float(muon.muon_update(torch.randn_like(weight), torch.zeros_like(weight)).norm())

    cls = ExpertConv2d if name == "ExpertConv2d" else BLOCKS[name].cls
    module = cls(c, c, k)
    stock = step(nn.Conv2d(c, c, k).weight)
    for weight in [module.W] if name == "DOConv" else module.kernels:
        assert 0.7 < step(weight) / stock < 1.4
