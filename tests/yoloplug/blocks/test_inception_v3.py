"""InceptionV3 equals torchvision's modules: recorded ones, and form C computed here."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.inception import InceptionC

from yoloplug.blocks import InceptionV3


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("inception_v3_A", InceptionV3(32, 32, form="A", widths=[8, 6, 8, 8, 12, 12, 4])),
        ("inception_v3_B", InceptionV3(16, 76, s=2, form="B", padding="valid", widths=[48, 8, 12, 12])),
        ("inception_v3_D", InceptionV3(16, 58, s=2, form="D", padding="valid", widths=[16, 26, 16, 16, 16, 16])),
        ("inception_v3_E", InceptionV3(16, 128, form="E", widths=[20, 24, 24, 24, 28, 24, 24, 24, 12])),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_form_c_equals_torchvision(randomise_norms):
    reference = InceptionC(16, 160).double().eval()
    randomise_norms(reference)
    module = InceptionV3(16, 768, form="C").double().eval()
    module.load_state_dict(module.convert_reference(reference.state_dict()))
    x = torch.randn(1, 16, 7, 9, dtype=torch.float64)
    expected = reference(x)
    assert (module(x) - expected).abs().max() <= 1e-9 * expected.abs().max()


@pytest.mark.parametrize("c2", [5, 24, 97, 288])
def test_every_form_meets_c2_and_the_rows_size(c2):
    x = torch.randn(1, 4, 7, 9)
    for form in ("A", "B", "C", "D", "E"):
        for s in (2,) if form in "BD" else (1, 2):
            if (form, c2) in {("B", 5), ("C", 5), ("D", 5), ("E", 5)}:
                continue
            assert InceptionV3(4, c2, s=s, form=form).eval()(x).shape == (1, c2, -(-7 // s), -(-9 // s))


def test_valid_padding_is_the_papers_smaller_map():
    x = torch.randn(1, 4, 35, 17)
    assert InceptionV3(4, 24, s=2, form="B", padding="valid").eval()(x).shape == (1, 24, 17, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 16, "form": "F"}, r"form must be one of \('A', 'B', 'C', 'D', 'E'\), got 'F'"),
        ({"c1": 16, "c2": 32, "form": "B"}, "form B halves the map; use s=2 or another form, got s=1"),
        ({"c1": 16, "c2": 16, "s": 2, "form": "D"}, r"passes all c1=16 channels on\); use c2 >= 19"),
        ({"c1": 16, "c2": 4}, "c2=4 is too narrow for its branches; use c2 >= 5"),
        ({"c1": 16, "c2": 16, "padding": "valid"}, r"padding='valid' is for forms \('B', 'D'\), got form 'A'"),
        ({"c1": 8, "c2": 16, "s": 2, "form": "B", "padding": "full"}, "padding must be one of .*, got 'full'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        InceptionV3(**arguments)
