"""DOConv: a convolution over-parameterised by a depthwise kernel that acts on its weights.

Paper: Cao et al. 2020 (DO-Conv), https://arxiv.org/abs/2006.12030, section 3.
Mathematics:
    y = K * x + bias,  K[o,i,m] = Σₛ (D[i,m,s] + I[m,s]) W[o,i,s]
    m: the k² taps; s: d_mul ≥ k² hidden taps. D starts at 0. I is the identity, repeated while d_mul allows; with
    d_mul = k² the start is therefore K = W.
Use it when a convolution should converge faster in training and cost nothing in inference: fused it is a convolution.
The product of kernels is small beside the convolution on large maps; on maps of a few pixels it shows.
Departs: bias defaults to False, because a BatchNorm follows in the hosts (reference: True); the constant I is a buffer
(reference: a frozen parameter of the same name). With 1 < g < c1 the reference pairs D[i] with weights of other inputs
than i (its reshape to (c2/g, c1, d_mul) interleaves them); ours is the same, so that its checkpoints give its outputs.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.folding.branches import plain_conv
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import shaped_as
from yoloplug.registry import register

__all__ = ["DOConv"]


@register(
    "DOConv",
    kind="conv",
    paper="arXiv:2006.12030",
    constraints="k odd; g divides c1 and c2; d_mul at least k*k",
    params="c1*c2//g*(d_mul or k*k) + c1*k*k*(d_mul or k*k)*(k > 1) + c2*bias",
    macs="P*k*k*c1*c2//g + c1*c2//g*k*k*(d_mul or k*k)*(k > 1)",
)
class DOConv(nn.Module):
    """Convolution whose kernel is a product of two learned ones; a plain convolution when fused.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. With k=1 it is a plain convolution.
    g: groups. d: dilation. d_mul: hidden taps of the product; None is k*k.
    """

    D: Tensor
    d_diag: Tensor

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        g: int = 1,
        d: int = 1,
        d_mul: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_conv("DOConv", c1, c2, k, s, g)
        taps = k * k
        hidden = taps if d_mul is None else d_mul
        if k == 1 and hidden != 1:
            raise ValueError(f"DOConv: k=1 has one tap and no depthwise kernel, got d_mul={d_mul}; leave d_mul out")
        if hidden < taps:
            raise ValueError(
                f"DOConv: d_mul={d_mul} is below k*k={taps}: the output would start at 0; use {taps} or more"
            )
        self.c1, self.k, self.s, self.p, self.d, self.g = c1, k, s, autopad(k, d), d, g
        # Four dimensions: optimisers (Muon) and memory formats take both for kernels.
        self.W = nn.Parameter(torch.empty(c2, c1 // g, 1, hidden))
        nn.init.kaiming_uniform_(self.W, a=math.sqrt(5))
        if k > 1:
            self.D = nn.Parameter(torch.zeros(c1, 1, taps, hidden))
            identity = F.pad(torch.eye(taps).repeat(1, hidden // taps), (0, hidden % taps))
            self.register_buffer("d_diag", identity.repeat(c1, 1, 1))
        bound = 1 / math.sqrt(c1 // g * taps)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", nn.Parameter(torch.empty(c2).uniform_(-bound, bound)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), self.bias, self.s, self.p, self.d, self.g)

    def kernel(self) -> Tensor:
        """(c2, c1 / g, k, k): the weight of the convolution that this is."""
        c2, depth, _, hidden = self.W.shape
        shape = (c2, depth, self.k, self.k)
        if self.k == 1:
            return self.W.reshape(shape)
        weight = self.W.reshape(c2 // self.g, self.c1, hidden)
        return torch.einsum("ims,ois->oim", self.D.squeeze(1) + self.d_diag, weight).reshape(shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """The reference's W and D have three dimensions."""
        shaped_as(state_dict, prefix, W=self.W, **({"D": self.D} if self.k > 1 else {}))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def to_conv(self) -> nn.Conv2d:
        """A new convolution equal to this block."""
        weight = self.kernel()
        bias = weight.new_zeros(len(weight)) if self.bias is None else self.bias
        return plain_conv([(weight, bias)], self.s, self.p, self.d, self.g)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        absorb_affine(self, scale, shift, "W")
