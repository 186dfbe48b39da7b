"""HDC: hybrid dilated convolution, dilated convolutions whose rates leave no holes.

Paper: Wang et al. 2018, https://arxiv.org/abs/1702.08502, section 3.2.
Mathematics: convolutions with rates r_1 .. r_n in a row see 1 + (k-1)·(r_1 + .. + r_n) pixels. The largest gap between
pixels seen by layers i .. n is M_n = r_n, M_i = max(M_{i+1} - 2 r_i, 2 r_i - M_{i+1}, r_i); the first layer closes it
if M_2 <= k. Rates with a common factor see a sparse grid only, whatever M_2.
Use it when objects are large against the stride and pixels matter (segmentation, thin structures): 17 pixels at the
default rates. It is three convolutions deep, 2.4 times the training time of one on a CPU; for one wide view take
AtrousConv.
Departs: rates that fail the condition are refused, also the paper's own 5-9-17, which only holds behind layers of
small rates.
"""

from collections.abc import Sequence
from functools import reduce
from math import gcd

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["HDC", "largest_gap"]


@register(
    "HDC",
    kind="conv",
    paper="arXiv:1702.08502",
    constraints="k odd; rates without common factor and with M_2 <= k",
    params="k**2*c2*(c1 + 2*c2) + 4*c2*(1 - linear) + 3*c2*bias",
    macs="k**2*c2*(c1 + 2*c2) * P",
)
class HDC(Chain):
    """Dilated convolutions in a row, BatchNorm and ReLU between them.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. rates: dilation of each, at least two (the cost
    formulas take three). The first has the stride, so the others dilate the smaller map. linear: nothing between them.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        rates: Sequence[int] = (1, 2, 5),
        linear: bool = False,
        bias: bool = False,
    ) -> None:
        at_least_one("HDC", c1=c1, c2=c2, s=s)
        _check(rates, k)
        first, *others = rates
        layers: list[nn.Module] = [nn.Conv2d(c1, c2, k, s, autopad(k, first), first, bias=bias)]
        for rate in others:
            between = [] if linear else [nn.BatchNorm2d(c2), nn.ReLU()]
            layers += [*between, nn.Conv2d(c2, c2, k, 1, autopad(k, rate), rate, bias=bias)]
        super().__init__(*layers)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        """As AbsorbsAffine; the last layer's name depends on `rates`."""
        absorb_affine(self[-1], scale, shift)


def largest_gap(rates: Sequence[int]) -> int:
    """The paper's M_2: the largest distance between neighbouring pixels that all layers but the first see."""
    gap = rates[-1]
    for rate in reversed(rates[1:-1]):
        gap = max(gap - 2 * rate, 2 * rate - gap, rate)
    return gap


def _check(rates: Sequence[int], k: int) -> None:
    autopad(k)
    if len(rates) < 2 or min(rates) < 1:
        raise ValueError(f"HDC: rates must be two or more dilations of at least 1, got {list(rates)}; use [1, 2, 5]")
    if _holds(rates, k):
        return
    n = len(rates)
    known = [(1, 2, 5, 9)[:n], tuple(range(1, n + 1)), tuple(k**i for i in range(n))]
    valid = dict.fromkeys("-".join(map(str, option)) for option in known if len(option) == n and _holds(option, k))
    common = reduce(gcd, rates)
    reason = f"have the common factor {common}" if common > 1 else f"leave gaps of M_2={largest_gap(rates)} > k={k}"
    raise ValueError(f"HDC: rates {'-'.join(map(str, rates))} {reason}; use for example {' or '.join(valid)}")


def _holds(rates: Sequence[int], k: int) -> bool:
    return largest_gap(rates) <= k and (reduce(gcd, rates) == 1 or max(rates) == 1)
