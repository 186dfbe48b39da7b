"""InceptionV4 equals timm's modules: recorded ones, and reductionB computed here."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from timm.layers import ConvNormAct
from timm.models.inception_v4 import ReductionB

from yoloplug.blocks import InceptionV4


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("inception_v4_A", InceptionV4(16, 16, widths=[4, 2, 4, 2, 4, 4, 4])),
        ("inception_v4_B", InceptionV4(16, 16, form="B", widths=[6, 3, 3, 4, 3, 3, 3, 3, 4, 2])),
        ("inception_v4_C", InceptionV4(16, 12, form="C", widths=[2, 4, 2, 2, 4, 4, 5, 2, 2, 2])),
        ("inception_v4_redA", InceptionV4(16, 42, s=2, form="reductionA", padding="valid", widths=[16, 8, 9, 10])),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_reduction_b_equals_timm(randomise_norms):
    layer = partial(ConvNormAct, padding=0, norm_kwargs={"eps": 1e-3})  # as timm's InceptionV4 builds it
    reference = ReductionB(layer).double().eval()
    randomise_norms(reference)
    module = InceptionV4(1024, 1536, s=2, form="reductionB", padding="valid").double().eval()
    module.load_state_dict(module.convert_reference(reference.state_dict()))
    x = torch.randn(1, 1024, 5, 4, dtype=torch.float64)
    expected = reference(x)
    assert (module(x) - expected).abs().max() <= 1e-9 * expected.abs().max()


@pytest.mark.parametrize("c2", [24, 97, 384])
def test_every_form_meets_c2_and_the_rows_size(c2):
    x = torch.randn(1, 4, 7, 9)
    for form in ("A", "B", "C", "reductionA", "reductionB"):
        for s in (2,) if form.startswith("reduction") else (1, 2):
            assert InceptionV4(4, c2, s=s, form=form).eval()(x).shape == (1, c2, -(-7 // s), -(-9 // s))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 16, "form": "D"}, "form must be one of .*'reductionB'.*, got 'D'"),
        ({"c1": 16, "c2": 32, "form": "reductionB"}, "form reductionB halves the map; use s=2 or another form"),
        ({"c1": 16, "c2": 17, "s": 2, "form": "reductionA"}, r"passes all c1=16 channels on\); use c2 >= 19"),
        ({"c1": 16, "c2": 3}, "c2=3 is too narrow for its branches; use c2 >= 4"),
        ({"c1": 16, "c2": 16, "padding": "valid"}, "padding='valid' is for forms"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        InceptionV4(**arguments)
