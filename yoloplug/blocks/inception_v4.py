"""InceptionV4: the uniform Inception modules and reductions of Inception-v4.

Paper: Szegedy et al. 2017 (Inception-v4), https://arxiv.org/abs/1602.07261, figures 4 to 8.
Mathematics: y = cat of branches, each a chain of convolutions with BatchNorm and ReLU (widths at the published c2):
  A  1x1 96 | 1x1 64, 3x3 96 | 1x1 64, 3x3 96, 3x3 96 | avgpool, 1x1 96                                      c2 = 384
  B  1x1 384 | 1x1 192, 1x7 224, 7x1 256 | 1x1, 7x1 192, 1x7, 7x1 224, 1x7 256 | avgpool, 1x1 128           c2 = 1024
  C  1x1 256 | 1x1 384, (1x3 | 3x1) 256 | 1x1 384, 3x1 448, 1x3 512, (1x3 | 3x1) 256 | avgpool, 1x1 256      c2 = 1536
  reductionA  3x3/2 384 | 1x1 192, 3x3 224, 3x3/2 256 | maxpool/2                                       c2 = 640 + c1
  reductionB  1x1 192, 3x3/2 192 | 1x1, 1x7 256, 7x1 320, 3x3/2 320 | maxpool/2                         c2 = 512 + c1
Other c2 keep the proportions, rounded down; the (first) widest branch takes the rest. Cost formulas are form A's.
Use it when InceptionV3's forms are too irregular: A on large, B on middle, C on small maps, the reductions to halve a
map while the width grows. Form A: a quarter of a plain 3x3's FLOPs, but 0.6 to 1.4 times its time on a CPU.
Departs: padding="same" in the reductions gives ceil(H/2) as every YOLO row must (the paper's "valid" is an option); at
s = 2 the forms A, B, C stride in each branch's last layer; order of 1x7 and 7x1 as in the released weights.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from yoloplug.blocks.parts.inception import LAYERS, Branches, Padding, Table, pooling_of
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["InceptionV4"]

Form = Literal["A", "B", "C", "reductionA", "reductionB"]

_TABLES: dict[str, Table] = {
    "A": {
        "branch0": "1x1 96",
        "branch1": "1x1 64, 3x3 96",
        "branch2": "1x1 64, 3x3 96, 3x3 96",
        "branch3": "pool, 1x1 96",
    },
    "B": {
        "branch0": "1x1 384",
        "branch1": "1x1 192, 1x7 224, 7x1 256",
        "branch2": "1x1 192, 7x1 192, 1x7 224, 7x1 224, 1x7 256",
        "branch3": "pool, 1x1 128",
    },
    "C": {
        "branch0": "1x1 256",
        "branch1": "1x1 384, (1x3|3x1) 256",
        "branch2": "1x1 384, 3x1 448, 1x3 512, (1x3|3x1) 256",
        "branch3": "pool, 1x1 256",
    },
    "reductionA": {
        "branch0": "3x3 384",
        "branch1": "1x1 192, 3x3 224, 3x3 256",
        "branch2": "pool",
    },
    "reductionB": {
        "branch0": "1x1 192, 3x3 192",
        "branch1": "1x1 256, 1x7 256, 7x1 320, 3x3 320",
        "branch2": "pool",
    },
}
_REDUCTIONS = ("reductionA", "reductionB")


@register(
    "InceptionV4",
    kind="conv",
    paper="arXiv:1602.07261",
    constraints="c2 >= 4, k = 3; reductions: s = 2, c2 > c1 + 2",
    params="c1*(c2 - 2*(c2//4) + 2*(c2//6)) + 18*(c2//6)*(c2//4) + 9*(c2//4)**2 + 2*(c2 + 2*(c2//6) + c2//4)  # form A",
    macs="H*W*(c2//6)*(2*c1 + 9*(c2//4)) + P*(c1*(c2 - 2*(c2//4)) + 9*(c2//4)*(c2//6 + c2//4))  # form A",
    tail="none",
)
class InceptionV4(Branches):
    """Inception-v4's modules: branches of convolutions, concatenated; `form` names the paper's five.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); padding="valid" in reductions: (H - 3) // 2 + 1, from 3x3 on.
    form: A, B, C for s = 1 or 2; the reductions halve the map (s = 2) and pass the pooled input on, so c2 must exceed
    c1. widths: of each convolution, branch by branch in the order of the table above.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        form: Form = "A",
        padding: Padding = "same",
        widths: Sequence[int] | None = None,
    ) -> None:
        pooling = pooling_of("InceptionV4", form, _TABLES, _REDUCTIONS, s, padding, count_include_pad=False)
        super().__init__(c1, c2, k, s, _TABLES[form], pooling, widths, padding)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keys of one module of timm's InceptionV4, without its prefix (`features.6.`)."""
        # branch1_1a.conv -> branch1.1.a.conv, branch0.bn -> branch0.0.bn; branch1.1.conv stays
        names = {r"_(\d)([ab])": r"_\1.\2", r"_(\d)\.": r".\1.", r"^(\w+)\.(conv|bn)": r"\1.0.\2"}
        return known("InceptionV4", state_dict, LAYERS, names)
