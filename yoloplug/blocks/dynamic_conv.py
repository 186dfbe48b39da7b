"""DynamicConv: dynamic convolution, attention over kernels.

Paper: Chen et al. 2020, https://arxiv.org/abs/1912.03458, sections 3.1 and 3.3. State as kaijieshi7's `Dynamic_conv2d`,
the implementation that everybody compares with; the paper has no code.
Mathematics: pi = softmax((B ReLU(A GAP(x)) + b) / T), which sums to 1 over K kernels;
y = (pi_1 W_1 + ... + pi_K W_K) * x. T falls from 30 to 1, linearly, over the first 10 epochs: see `anneal_temperature`.
Use it when a small model lacks capacity: K times the weights. On one CPU thread at batch 1 it takes the time of a plain
convolution on 80x80 maps and 1.4 times that on 20x20. Larger batches run as one convolution of N groups, for which GPU
kernels are poor (not measured here). Sharp attention from the start trains slowly, says the paper: hence the annealing.
Departs: T is a buffer, saved with the model (there a Python attribute: a reloaded model infers with T=34, whatever it
was trained to); a reference state without it keeps the T given here, so pass temperature=1 for trained weights.
T starts at 30, the paper's (there: 34). bias defaults to False, because a BatchNorm follows in the hosts (there: True).
"""

from math import sqrt

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import finite
from yoloplug.blocks.parts.experts.annealing import Annealed
from yoloplug.blocks.parts.experts.expert_conv import Experts
from yoloplug.registry import register

__all__ = ["DynamicConv"]


@register(
    "DynamicConv",
    kind="conv",
    paper="arXiv:1912.03458",
    constraints="k odd; g divides c1 and c2; ratio and temperature above 0",
    params="experts * (c1 * c2 * k**2 // g + c2 * bias) + (floor(c1 * ratio) + 1) * (c1 + experts) + experts",
    macs="P * c1 * c2 * k**2 // g + experts * (c1 * c2 * k**2 // g + c2 * bias)"
    " + (floor(c1 * ratio) + 1) * (c1 + experts)",
)
class DynamicConv(Experts):
    """Convolution with a kernel mixed for each image from experts, by a softmax attention on the pooled input.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    experts: kernels K. ratio: hidden width of the attention over c1. temperature: of its softmax at the start of
    training; `anneal_temperature` lowers it to 1. bias: one for each kernel, mixed like them.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        experts: int = 4,
        ratio: float = 0.25,
        temperature: float = 30.0,
        g: int = 1,
        d: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(c1, c2, k, s, experts, g, d, bias)
        finite("DynamicConv", ratio=ratio)
        if ratio <= 0:
            raise ValueError(f"DynamicConv: ratio must be above 0, got {ratio}")
        hidden = int(c1 * ratio) + 1 if c1 != 3 else experts  # the reference's exception for images
        self.attention = _KernelAttention(c1, hidden, experts, temperature)
        bound = sqrt(6 / (c1 // g * k**2))
        self.draw(lambda bank: bank.uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(x, self.attention(x))


class _KernelAttention(Annealed):
    """(N, c1, H, W) -> (N, experts), positive, sum 1."""

    def __init__(self, c1: int, hidden: int, experts: int, temperature: float) -> None:
        super().__init__(temperature)
        self.fc1 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, experts, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        assert self.fc2.bias is not None
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu())
        return (logits.flatten(1) / self.temperature).softmax(1)
