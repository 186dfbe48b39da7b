"""InceptionV3: Inception modules with factorised kernels, five forms for five depths of the network.

Paper: Szegedy et al. 2016 (Rethinking the Inception architecture), https://arxiv.org/abs/1512.00567, figures 5 to 10.
Mathematics: y = cat of branches, each a chain of convolutions with BatchNorm and ReLU (widths at the published c2):
  A  1x1 64 | 1x1 48, 5x5 64 | 1x1 64, 3x3 96, 3x3 96 | avgpool, 1x1 64                                      c2 = 288
  C  1x1 192 | 1x1, 1x7 160, 7x1 192 | 1x1, 7x1, 1x7, 7x1 160, 1x7 192 | avgpool, 1x1 192                    c2 = 768
  E  1x1 320 | 1x1 384, (1x3 | 3x1) 384 | 1x1 448, 3x3 384, (1x3 | 3x1) 384 | avgpool, 1x1 192              c2 = 2048
  B  3x3/2 384 | 1x1 64, 3x3 96, 3x3/2 96 | maxpool/2                                                   c2 = 480 + c1
  D  1x1 192, 3x3/2 320 | 1x1, 1x7, 7x1 192, 3x3/2 192 | maxpool/2                                      c2 = 512 + c1
Other c2 keep the proportions, rounded down; the (first) widest branch takes the rest. Cost formulas are form A's.
Use it when several ranges must be seen at once: A on large maps, C (long and thin kernels, good for thin structures) on
middle, E on small ones, B and D to halve a map while the width grows. Form A: two fifths of a plain 3x3's
FLOPs, but 0.7 to 1.6 times its time on a CPU.
Departs: padding="same" in B and D gives ceil(H/2) as every YOLO row must (the paper's "valid" is an option); at s = 2
the forms A, C, E stride in each branch's last layer.
"""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from yoloplug.blocks.parts.inception import LAYERS, Branches, Padding, Table, pooling_of
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["InceptionV3"]

Form = Literal["A", "B", "C", "D", "E"]

_TABLES: dict[str, Table] = {
    "A": {
        "branch1x1": "1x1 64",
        "branch5x5": "1x1 48, 5x5 64",
        "branch3x3dbl": "1x1 64, 3x3 96, 3x3 96",
        "branch_pool": "pool, 1x1 64",
    },
    "B": {
        "branch3x3": "3x3 384",
        "branch3x3dbl": "1x1 64, 3x3 96, 3x3 96",
        "branch_pool": "pool",
    },
    "C": {
        "branch1x1": "1x1 192",
        "branch7x7": "1x1 160, 1x7 160, 7x1 192",
        "branch7x7dbl": "1x1 160, 7x1 160, 1x7 160, 7x1 160, 1x7 192",
        "branch_pool": "pool, 1x1 192",
    },
    "D": {
        "branch3x3": "1x1 192, 3x3 320",
        "branch7x7x3": "1x1 192, 1x7 192, 7x1 192, 3x3 192",
        "branch_pool": "pool",
    },
    "E": {
        "branch1x1": "1x1 320",
        "branch3x3": "1x1 384, (1x3|3x1) 384",
        "branch3x3dbl": "1x1 448, 3x3 384, (1x3|3x1) 384",
        "branch_pool": "pool, 1x1 192",
    },
}
_REDUCTIONS = ("B", "D")


@register(
    "InceptionV3",
    kind="conv",
    paper="arXiv:1512.00567",
    constraints="c2 >= 5, k = 3; forms B, D: s = 2, c2 > c1 + 4",
    params="c1*(c2//6 + 3*(2*c2//9)) + 25*(c2//6)*(2*c2//9) + 9*(c2//3)*(c2 - 2*(2*c2//9))"
    " + 2*(c2 + c2//6 + 2*c2//9 + c2//3)  # form A",
    macs="H*W*(c1*(c2//6 + 2*c2//9) + 9*(2*c2//9)*(c2//3)) + P*(2*c1*(2*c2//9) + 25*(c2//6)*(2*c2//9)"
    " + 9*(c2//3)*(c2 - 3*(2*c2//9)))  # form A",
    tail="none",
)
class InceptionV3(Branches):
    """Branches with factorised kernels, concatenated; `form` names the paper's five modules.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); padding="valid" in B and D: (H - 3) // 2 + 1, from 3x3 on.
    form: A, C, E for s = 1 or 2; B and D halve the map (s = 2) and pass the pooled input on, so c2 must exceed c1.
    widths: of each convolution, branch by branch in the order of the table above.
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
        pooling = pooling_of("InceptionV3", form, _TABLES, _REDUCTIONS, s, padding)
        super().__init__(c1, c2, k, s, _TABLES[form], pooling, widths, padding)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keys of one module of torchvision's Inception3, without its prefix (`Mixed_5b.`)."""
        # branch3x3_2a.conv -> branch3x3.1.a.conv, branch_pool.bn -> branch_pool.1.bn, branch1x1.bn -> branch1x1.0.bn
        names: dict[str, Any] = {
            r"_(\d)([ab]?)\.": lambda m: f".{int(m[1]) - 1}.{m[2]}{'.' * len(m[2])}",
            r"^branch_pool\.(conv|bn)": r"branch_pool.1.\1",
            r"^(\w+)\.(conv|bn)": r"\1.0.\2",
        }
        return known("InceptionV3", state_dict, LAYERS, names)
