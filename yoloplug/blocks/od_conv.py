"""ODConv: omni-dimensional dynamic convolution, attention along all four dimensions of the kernel.

Paper: Li, Zhou, Yao 2022, https://arxiv.org/abs/2209.07947, section 3.2. State as OSVAI/ODConv's `ODConv2d`.
Mathematics: z = ReLU(BN(A GAP(x)));  a_c, a_f, a_s = sigmoid of one linear map of z each (input channels, output
channels, k*k taps), a_w = softmax over kernels;  y = a_f . ((a_w1 W_1 + ... + a_wK W_K) . a_s * (a_c . x)).
Use it when a small model lacks capacity and DynamicConv is not enough: experts=1 has hardly more weights than a plain
convolution and keeps three attentions. On one CPU thread it takes 1 to 1.3 times a plain convolution on 80x80 maps and
1.9 times on 20x20; GPUs pay for the grouped convolution and for many small operations (not measured here).
Departs: trains at batch 1 (there BatchNorm behind the pool raises); the temperature is a buffer, saved with the model.
"""

from math import sqrt

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.checks import finite
from yoloplug.blocks.parts.experts.annealing import Annealed
from yoloplug.blocks.parts.experts.expert_conv import Experts
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.pooled_batch_norm_2d import PooledBatchNorm2d
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["ODConv"]


@register(
    "ODConv",
    kind="conv",
    paper="arXiv:2209.07947",
    constraints="k odd; g divides c1 and c2; reduction and temperature above 0",
    params="experts * c1 * c2 * k**2 // g + max(floor(c1 * reduction), min_hidden) * (2 * c1 + c2 + k**2 + experts + 2)"
    " + c1 + c2 + k**2 + experts",
    macs="(P + experts) * c1 * c2 * k**2 // g"
    " + max(floor(c1 * reduction), min_hidden) * (2 * c1 + c2 + k**2 + experts)",
)
class ODConv(Experts):
    """Convolution with a kernel mixed from experts and gated by input channel, output channel and tap, for each image.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. experts=1, k=1 and depthwise g drop the attention that
    has nothing to choose, as the reference does.
    reduction, min_hidden: the attention's hidden width is max(int(c1 * reduction), min_hidden). temperature: divides
    all logits; give 30 to start as the paper's annealed runs do (`anneal_temperature` then lowers it to 1).
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        experts: int = 4,
        reduction: float = 1 / 16,
        min_hidden: int = 16,
        temperature: float = 1.0,
        g: int = 1,
        d: int = 1,
    ) -> None:
        super().__init__(c1, c2, k, s, experts, g, d)
        finite("ODConv", reduction=reduction)
        if reduction <= 0 or min_hidden < 1:
            raise ValueError(
                "ODConv: reduction must be above 0 and min_hidden at least 1, "
                f"got reduction={reduction}, min_hidden={min_hidden}"
            )
        heads = {"channel_fc": c1, "filter_fc": c2, "spatial_fc": k**2, "kernel_fc": experts}
        if c1 == c2 == g:
            del heads["filter_fc"]
        if k == 1:
            del heads["spatial_fc"]
        if experts == 1:
            del heads["kernel_fc"]
        self.attention = _Attention(c1, max(int(c1 * reduction), min_hidden), heads, temperature)
        self.draw(lambda bank: bank.normal_(std=sqrt(2 / (c2 * k**2))))

    def forward(self, x: Tensor) -> Tensor:
        gates = self.attention(x)
        c2, depth, k, _ = self.kernel_shape
        share = gates["kernel_fc"].softmax(1) if "kernel_fc" in gates else torch.ones_like(x[:, :1, 0, 0])
        kernels = self.mixture(share)
        if "spatial_fc" in gates:
            spatial = watched(self, "taps", gates["spatial_fc"].sigmoid())[:, None]
            kernels = (kernels.reshape(-1, c2 * depth, k * k) * spatial).flatten(1)
        inputs = watched(self, "input channels", gates["channel_fc"].sigmoid())
        y = self.convolve(x * inputs[:, :, None, None], kernels, None)
        if "filter_fc" in gates:
            y = y * watched(self, "output channels", gates["filter_fc"].sigmoid())[:, :, None, None]
        return y if self.shared_bias is None else y + self.shared_bias[:, None, None]


class _Attention(Annealed):
    """(N, c1, H, W) -> logits over the temperature, name of the head -> (N, width)."""

    def __init__(self, c1: int, hidden: int, heads: dict[str, int], temperature: float) -> None:
        super().__init__(temperature)
        self.fc = nn.Conv2d(c1, hidden, 1, bias=False)
        self.bn = PooledBatchNorm2d(hidden)
        self.heads = list(heads)
        nn.init.kaiming_normal_(self.fc.weight, mode="fan_out", nonlinearity="relu")
        for name, width in heads.items():
            head = nn.Conv2d(hidden, width, 1)
            nn.init.kaiming_normal_(head.weight, mode="fan_out", nonlinearity="relu")
            assert head.bias is not None
            nn.init.zeros_(head.bias)
            self.add_module(name, head)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.bn(self.fc(x.mean((2, 3), keepdim=True))).relu()
        return {name: self.get_submodule(name)(z).flatten(1) / self.temperature for name in self.heads}

    def fold_norms(self) -> None:
        fold_named(self, bn="fc")
