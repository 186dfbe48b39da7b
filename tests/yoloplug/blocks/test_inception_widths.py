"""At the published widths every convolution of the Inception modules is as wide as the libraries' own."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from timm.layers import ConvNormAct
from timm.models.inception_v4 import InceptionA, InceptionB, InceptionC, ReductionA, ReductionB
from torch import nn
from torchvision.models import inception
from torchvision.models.googlenet import Inception

from yoloplug.blocks import InceptionV1, InceptionV2, InceptionV3, InceptionV4

TIMM = partial(ConvNormAct, padding=0, norm_kwargs={"eps": 1e-3})

# what the libraries build, ours, its arguments
PAIRS = [
    (lambda: Inception(192, 64, 96, 128, 16, 32, 32), InceptionV1, {"c1": 192, "c2": 256, "k_wide": 3}),
    (lambda: inception.InceptionA(256, 64), InceptionV3, {"c1": 256, "c2": 288}),
    (lambda: inception.InceptionB(288), InceptionV3, {"c1": 288, "c2": 768, "s": 2, "form": "B"}),
    (lambda: inception.InceptionC(768, 160), InceptionV3, {"c1": 768, "c2": 768, "form": "C"}),
    (lambda: inception.InceptionD(768), InceptionV3, {"c1": 768, "c2": 1280, "s": 2, "form": "D"}),
    (lambda: inception.InceptionE(1280), InceptionV3, {"c1": 1280, "c2": 2048, "form": "E"}),
    (lambda: InceptionA(TIMM), InceptionV4, {"c1": 384, "c2": 384}),
    (lambda: ReductionA(TIMM), InceptionV4, {"c1": 384, "c2": 1024, "s": 2, "form": "reductionA"}),
    (lambda: InceptionB(TIMM), InceptionV4, {"c1": 1024, "c2": 1024, "form": "B"}),
    (lambda: ReductionB(TIMM), InceptionV4, {"c1": 1024, "c2": 1536, "s": 2, "form": "reductionB"}),
    (lambda: InceptionC(TIMM), InceptionV4, {"c1": 1536, "c2": 1536, "form": "C"}),
]


def shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}


@pytest.mark.parametrize(("library", "cls", "arguments"), PAIRS, ids=lambda value: getattr(value, "__name__", None))
def test_widths_of_the_libraries(library, cls, arguments):
    with torch.device("meta"):
        reference, module = library(), cls(**arguments)
    assert shapes(cls.convert_reference(reference.state_dict())) == shapes(module.state_dict())


@pytest.mark.parametrize(
    ("arguments", "widths"),
    [
        ({"c1": 192, "c2": 256}, [64, 64, 64, 64, 96, 96, 32]),
        ({"c1": 320, "c2": 576, "s": 2, "form": "reduction"}, [128, 160, 64, 96, 96]),
    ],
)
def test_widths_of_the_papers_table(arguments, widths):
    """Ioffe, Szegedy 2015, figure 5: modules 3a and 3c, which no library here has."""
    module = InceptionV2(**arguments)
    assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)] == widths
