"""DynamicConv equals the recorded reference; its temperature is saved, and falls as the paper says."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import DynamicConv, ODConv, anneal_temperature


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("dynconv", DynamicConv(16, 12, temperature=34, bias=True)),
        ("dynconv_t1_g2_s2", DynamicConv(16, 12, s=2, g=2, temperature=1, bias=True)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_reference_state_keeps_the_temperature_given_here(golden):
    """The record was made at T=34: loaded at T=1 it computes something else, which is why T belongs to the state."""
    record = golden("dynconv")
    module = DynamicConv(16, 12, temperature=1, bias=True).double()
    module.load_state_dict(DynamicConv.convert_reference(record.state()))
    assert module.attention.temperature == 1
    assert (module(record["x"]) - record["y"]).abs().max() > 0.1


def test_temperature_is_saved():
    trained, fresh = DynamicConv(4, 4), DynamicConv(4, 4)
    anneal_temperature(trained, 5)
    fresh.load_state_dict(trained.state_dict())
    assert fresh.attention.temperature == trained.attention.temperature == 15.5


def test_is_the_papers_formula():
    """sum_k pi_k (W_k * x + b_k), pi from a two-layer attention written out."""
    torch.manual_seed(0)
    module = DynamicConv(8, 6, 3, 2, experts=3, temperature=2, bias=True).double()
    nn.init.normal_(module.bias)
    nn.init.normal_(module.attention.fc2.bias)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    pooled = x.mean((2, 3))
    hidden = (pooled @ module.attention.fc1.weight[:, :, 0, 0].T).relu()
    pi = ((hidden @ module.attention.fc2.weight[:, :, 0, 0].T + module.attention.fc2.bias) / 2).softmax(1)
    kernels = torch.stack([*module.kernels])
    outputs = [F.conv2d(x, kernels[k], module.bias[k], 2, 1) for k in range(3)]
    torch.testing.assert_close(module(x), sum(pi[:, k, None, None, None] * outputs[k] for k in range(3)))


def test_high_temperature_is_the_mean_kernel():
    torch.manual_seed(0)
    module, x = DynamicConv(8, 6, temperature=1e9).double(), torch.randn(2, 8, 7, 9, dtype=torch.float64)
    expected = F.conv2d(x, torch.stack([*module.kernels]).mean(0), padding=1)
    torch.testing.assert_close(module(x), expected, rtol=1e-6, atol=1e-6)


def test_anneals_on_the_papers_line_and_stays_at_one():
    model = nn.Sequential(DynamicConv(4, 4), nn.Conv2d(4, 4, 1), DynamicConv(4, 4))
    seen = []
    for epoch in range(13):
        highest = anneal_temperature(model, epoch)
        assert model[0].attention.temperature == model[2].attention.temperature == highest
        seen.append(round(float(model[0].attention.temperature), 4))
    assert seen == [30, 27.1, 24.2, 21.3, 18.4, 15.5, 12.6, 9.7, 6.8, 3.9, 1, 1, 1]


def test_annealing_only_lowers():
    """A block meant to run at T=1, and a trained model that starts another training, are not thrown back to 30."""
    block, od = DynamicConv(4, 4, temperature=12), ODConv(4, 4)
    model = nn.ModuleList([block, od])
    assert anneal_temperature(model, 0) == 12
    assert block.attention.temperature == 12 and od.attention.temperature == 1
    anneal_temperature(model, 8, epochs=20, start=10)
    assert float(block.attention.temperature) == pytest.approx(6.4)
    anneal_temperature(model, 0)
    assert float(block.attention.temperature) == pytest.approx(6.4)


def test_annealing_reaches_half_precision_and_copies():
    model = copy.deepcopy(DynamicConv(4, 4)).half()
    anneal_temperature(model, 10)
    assert model.attention.temperature == 1 and model.attention.temperature.dtype == torch.float16


def test_model_without_temperature_is_left_alone():
    assert anneal_temperature(nn.Conv2d(3, 3, 1), 0) == 0


@pytest.mark.parametrize("arguments", [{"epoch": -1}, {"epoch": 0, "epochs": 0}, {"epoch": 0, "start": 0.5}])
def test_annealing_refuses(arguments):
    with pytest.raises(ValueError, match=r"epoch >= 0, epochs >= 1 and start >= 1, got"):
        anneal_temperature(nn.Identity(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "temperature must be above 0 and finite, got 0"),
        ({"temperature": float("nan")}, "temperature must be above 0 and finite, got nan"),
        ({"ratio": 0}, "ratio must be above 0, got 0"),
        ({"experts": 0}, "DynamicConv: .*experts=0"),
        ({"k": 2}, "k must be odd and positive, got 2"),
        ({"g": 3}, r"g=3 must divide c1=8 and c2=8; use g from \[1, 2, 4, 8\]"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicConv(8, 8, **arguments)
