"""CondParamConv: a convolution whose kernel and bias a small network writes from an external condition.

Paper: Ha, Dai, Le 2016 (HyperNetworks), https://arxiv.org/abs/1609.09106, the static hypernetwork for convolutions, is
the generator; filters written from a second input are De Brabandere et al. 2016 (dynamic filter networks),
https://arxiv.org/abs/1605.09673, dynamic convolution. The name has no paper of its own, and CondConv is another block.
Mathematics: z = SiLU(E c + e) for a condition c;  a_i = V_i z + v_i for each input channel i;
K[:, i] = U a_i + u;  b = B z + b0;  y = K * x + b. The input channels share U, which keeps the generator small: one
layer from z to the whole kernel would need `embedding` times the parameters of the convolution.
Use it when something outside the feature map should steer the filters: another layer's features, a sensor, a domain.
Without a second input it is its own condition, a rival of CondConv. The kernel, as a (c1, c2 k k) matrix, has rank
`rank` + 1 at most. Per image it costs `rank` times the kernel's values more than a convolution: little on large maps,
much on small ones (one CPU thread, batch 1: 1.2 plain convolutions at 64 channels on 80x80, 2.7 at 256 on 20x20).
Batches run as one convolution of N groups, for which GPU kernels are poor (not measured here).
Departs: there z is a learned constant of each layer; here it is computed from the condition, so each image has its own
kernel. No published weights exist. With groups each has a U of its own.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, check_conv
from yoloplug.blocks.parts.experts.per_sample import conv2d_per_sample
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["CondParamConv"]


@register(
    "CondParamConv",
    kind="conv",
    paper="arXiv:1609.09106",
    constraints="k odd; g divides c1 and c2",
    params="((c_condition or c1) + 1) * embedding + (embedding + 1) * (c1 * rank + c2) + (rank + 1) * c2 * k**2",
    macs="P * c1 * c2 * k**2 // g + rank * c1 * c2 * k**2 // g + (c_condition or c1) * embedding"
    " + embedding * (c1 * rank + c2)",
    conditioned=True,
)
class CondParamConv(nn.Module):
    """Convolution with kernel and bias written for each image by a hypernetwork from a condition.

    Shape: x (N, c1, H, W), condition (N, c_condition) or (N, c_condition, h, w), of which the mean is taken
    -> (N, c2, ceil(H/s), ceil(W/s)); k odd. Without a condition it is x. Values of about unit size suit it.
    In a YAML the second input is the condition: `[[-1, 4], 1, CondParamConv, [256, 3, 1]]`.
    c_condition: width of the condition, c1 by default. rank, embedding: widths inside the generator.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        c_condition: int | None = None,
        rank: int = 32,
        embedding: int = 16,
        g: int = 1,
        d: int = 1,
    ) -> None:
        super().__init__()
        self.c_condition = c1 if c_condition is None else c_condition
        check_conv("CondParamConv", c1, c2, k, s, g)
        at_least_one("CondParamConv", c_condition=self.c_condition, rank=rank, embedding=embedding)
        self.kernel_shape = (c2, c1 // g, k, k)
        self.s, self.p, self.d, self.g = s, autopad(k, d), d, g
        self.embed = nn.Linear(self.c_condition, embedding)
        self.codes = nn.Linear(embedding, c1 * rank)
        self.weight = nn.Parameter(torch.empty(c2 * k**2, rank))
        self.kernel_bias = nn.Parameter(torch.zeros(c2 * k**2))
        self.shifts = nn.Linear(embedding, c2)
        # Codes of unit size, the larger part constant, make a kernel as large as nn.Conv2d's.
        nn.init.normal_(self.codes.bias)
        nn.init.uniform_(self.weight, -1 / sqrt(rank * (c1 // g) * k**2), 1 / sqrt(rank * (c1 // g) * k**2))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        z = F.silu(self.embed(self._vector(x if condition is None else condition)))
        return conv2d_per_sample(x, self.kernels(z), self.kernel_shape, self.shifts(z), self.s, self.p, self.d, self.g)

    def _vector(self, condition: Tensor) -> Tensor:
        """(N, c_condition)."""
        if condition.dim() not in (2, 4):
            raise ValueError(
                f"CondParamConv: the condition is (N, c) or (N, c, h, w), got {condition.dim()} dimensions"
            )
        if not torch.jit.is_tracing() and condition.shape[1] != self.c_condition:
            raise ValueError(
                f"CondParamConv: c_condition={self.c_condition}, but the condition has {condition.shape[1]} channels"
            )
        return condition.mean((2, 3)) if condition.dim() == 4 else condition

    def kernels(self, z: Tensor) -> Tensor:
        """(N, embedding) -> (N, g, c2 / g, c1 / g, k * k)."""
        c2, depth, k, _ = self.kernel_shape
        rank = self.weight.shape[1]
        codes = self.codes(z).reshape(-1, self.g, depth, rank).transpose(0, 1).flatten(1, 2)
        columns = codes @ self.weight.reshape(self.g, -1, rank).transpose(1, 2) + self.kernel_bias.reshape(
            self.g, 1, -1
        )
        return columns.reshape(self.g, -1, depth, c2 // self.g, k * k).permute(1, 0, 3, 2, 4)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        taps = scale.to(self.weight).repeat_interleave(self.kernel_shape[-1] ** 2)
        with torch.no_grad():
            self.weight.mul_(taps[:, None])
            self.kernel_bias.mul_(taps)
        absorb_affine(self.shifts, scale, shift)
