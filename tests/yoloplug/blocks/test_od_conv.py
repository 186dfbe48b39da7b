"""ODConv equals OSVAI's recorded tensors, trains at batch 1, and without gates is a plain convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import ODConv


@pytest.mark.parametrize(("name", "module"), [("odconv", ODConv(16, 12)), ("odconv_pw1", ODConv(16, 12, 1, experts=1))])
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_is_the_papers_formula():
    """Four attentions multiplied onto the kernel itself, sample by sample, at stride 2 with two groups."""
    torch.manual_seed(0)
    module = ODConv(8, 6, 3, 2, experts=3, g=2, temperature=2).double().eval()
    for parameter in module.attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    logits = module.attention(x)
    kernels = torch.stack([*module.kernels])
    for n in range(2):
        kernel_share = logits["kernel_fc"][n].softmax(0)
        filters, channels, taps = (logits[f"{key}_fc"][n].sigmoid() for key in ("filter", "channel", "spatial"))
        kernel = sum(kernel_share[e] * kernels[e] for e in range(3)) * taps.reshape(3, 3) * filters[:, None, None, None]
        channels = channels.reshape(2, 1, 4).expand(2, 3, 4).reshape(6, 4)  # group by group, for each output channel
        expected = F.conv2d(x[n : n + 1], kernel * channels[:, :, None, None], None, 2, 1, groups=2)
        torch.testing.assert_close(module(x)[n : n + 1], expected)


def test_temperature_divides_all_logits():
    torch.manual_seed(0)
    cool, warm = ODConv(8, 8).eval(), ODConv(8, 8, temperature=4).eval()
    state = {key: value for key, value in cool.state_dict().items() if not key.endswith("temperature")}
    warm.load_state_dict(state)
    x = torch.randn(2, 8, 5, 5)
    for key, logits in warm.attention(x).items():
        torch.testing.assert_close(4 * logits, cool.attention(x)[key])


def test_attention_that_cannot_choose_is_left_out():
    heads = {key.split(".")[1] for key in ODConv(8, 8, 1, experts=1, g=8).state_dict() if key.endswith("_fc.weight")}
    assert heads == {"channel_fc"}
    assert ODConv(8, 8, 1, experts=1, g=8)(torch.randn(2, 8, 5, 6)).shape == (2, 8, 5, 6)


def test_open_gates_are_a_plain_convolution():
    torch.manual_seed(0)
    module = ODConv(8, 6, experts=1).double().eval()
    for name in ("channel_fc", "filter_fc", "spatial_fc"):
        nn.init.constant_(module.attention.get_submodule(name).bias, 50)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(module(x), F.conv2d(x, module.kernels[0], padding=1))


def test_trains_at_batch_one_and_batch_statistics_from_two_on():
    module = ODConv(8, 8).train()
    before = module.attention.bn.running_mean.clone()
    module(torch.randn(1, 8, 7, 9)).sum().backward()
    assert torch.equal(module.attention.bn.running_mean, before)
    module(torch.randn(2, 8, 7, 9))
    assert not torch.equal(module.attention.bn.running_mean, before)


def test_one_expert_on_a_map_of_one_pixel():
    module, x = ODConv(8, 8, experts=1).eval(), torch.randn(2, 8, 1, 1)
    wide = torch.zeros(2, 8, 3, 3)
    wide[..., 1:2, 1:2] = x * 9  # the same mean, and zeros around it
    assert module(x).shape == (2, 8, 1, 1)
    torch.testing.assert_close(9 * module(x), module(wide)[..., 1:2, 1:2])


def test_folds_its_norm_exactly(randomise_norms):
    module = ODConv(8, 8).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    expected = module(x)
    module.attention.fold_norms()
    module.attention.fold_norms()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": 0}, "reduction must be above 0 .* got reduction=0"),
        ({"min_hidden": 0}, "min_hidden at least 1, .*min_hidden=0"),
        ({"temperature": -1}, "temperature must be above 0 and finite, got -1"),
        ({"experts": 0}, "ODConv: .*experts=0"),
        ({"g": 5}, r"ODConv: g=5 must divide c1=8 and c2=8"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ODConv(8, 8, **arguments)
