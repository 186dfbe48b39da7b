"""InceptionV2: the Inception module with two 3x3 convolutions for the 5x5, from the paper that brought BatchNorm.

Paper: Ioffe, Szegedy 2015 (Batch Normalization), https://arxiv.org/abs/1502.03167, appendix.
Mathematics: y = cat[ C1(x), C3(R(x)), C3''(C3'(R'(x))), C1'(pool3(x)) ], each C and R a convolution with BatchNorm and
ReLU. At c2 = 256 the widths are the first module's: 64 | 64 -> 64 | 64 -> 96 -> 96 | 32; other c2 keep the proportions,
rounded down, and the double branch takes the rest.
form="reduction": y = cat[ C3(R(x)), C3''(C3'(R'(x))), maxpool3(x) ], the last layers with stride 2; the pooled input
passes as it is, so c2 must exceed c1. At c2 - c1 = 256 the widths are 128 -> 160 | 64 -> 96 -> 96.
Use it when InceptionV1 is wanted with two small kernels and a ReLU between for its large one; form="reduction" for
downsampling rows that double the width. Two fifths of a plain 3x3's FLOPs, but 0.7 to 1.6 times its time on a CPU.
Departs: the pool of a reduction also takes odd sizes; at s = 2 the normal form strides in each branch's last layer; no
bias in front of BatchNorm, where it is idle (convert_reference moves the published ones into the running mean).
"""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import one_of
from yoloplug.blocks.parts.folding.idle_bias import without_idle_bias
from yoloplug.blocks.parts.inception import LAYERS, Branches, Table, check_form
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["InceptionV2"]

Form = Literal["normal", "reduction"]
Pool = Literal["avg", "max"]

_TABLES: dict[str, Table] = {
    "normal": {
        "branch1x1": "1x1 64",
        "branch3x3": "1x1 64, 3x3 64",
        "branch3x3dbl": "1x1 64, 3x3 96, 3x3 96",
        "branch_pool": "pool, 1x1 32",
    },
    "reduction": {
        "branch3x3": "1x1 128, 3x3 160",
        "branch3x3dbl": "1x1 64, 3x3 96, 3x3 96",
        "branch_pool": "pool",
    },
}

_NAMES = {
    "1x1": "branch1x1.0",
    "3x3_reduce": "branch3x3.0",
    "3x3": "branch3x3.1",
    "double_3x3_reduce": "branch3x3dbl.0",
    "double_3x3_1": "branch3x3dbl.1",
    "double_3x3_2": "branch3x3dbl.2",
    "pool_proj": "branch_pool.1",
}


@register(
    "InceptionV2",
    kind="conv",
    paper="arXiv:1502.03167",
    constraints="c2 >= 8, k = 3; form=reduction: s = 2, c2 >= c1 + 3",
    params="c1*(3*(c2//4) + c2//8) + 9*((c2//4)**2 + (c2//4 + c2 - 2*(c2//4) - c2//8)*(3*c2//8))"
    " + 2*(c2 + 2*(c2//4) + 3*c2//8)",
    macs="c1*H*W*2*(c2//4) + P*c1*(c2//4 + c2//8) + 9*P*((c2//4)**2 + (c2 - 2*(c2//4) - c2//8)*(3*c2//8))"
    " + 9*H*W*(c2//4)*(3*c2//8)",
    tail="none",
)
class InceptionV2(Branches):
    """1x1, 3x3, double 3x3 and pool branches, concatenated.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    form: reduction has no 1x1 branch and passes the pooled input on. pool: of the normal form; the paper's last module
    has max. widths: of each convolution, branch by branch (seven; five in a reduction).
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        form: Form = "normal",
        pool: Pool = "avg",
        widths: Sequence[int] | None = None,
    ) -> None:
        check_form("InceptionV2", form, _TABLES, ["reduction"], s)
        one_of("InceptionV2", get_args(Pool), pool=pool)
        pooling: nn.Module = nn.AvgPool2d(3, s, 1) if pool == "avg" else nn.MaxPool2d(3, s, 1)
        if form == "reduction":
            pooling = _CeilMaxPool()
        super().__init__(c1, c2, k, s, _TABLES[form], pooling, widths, eps=1e-5)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keys of one module of Cadene's BNInception, with its prefix (`inception_3a_`)."""
        ours = without_idle_bias({_converted(key): value for key, value in state_dict.items()}, "conv", "bn")
        return known("InceptionV2", ours, LAYERS)


def _converted(key: str) -> str:
    found = re.fullmatch(rf"\w*?({'|'.join(_NAMES)})(_bn)?\.(\w+)", key)
    return f"{_NAMES[found[1]]}.{'bn' if found[2] else 'conv'}.{found[3]}" if found else key


class _CeilMaxPool(nn.Module):
    """3x3 windows that begin at every second pixel and may hang over the lower and right border, for odd sizes too.

    Shape: (N, c, H, W) -> (N, c, ceil(H/2), ceil(W/2)).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(x, (0, 2, 0, 2), value=float("-inf")), 3, 2)
