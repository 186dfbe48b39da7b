"""DBB: diverse branch block, four unlike branches in training that become one convolution.

Paper: Ding et al. 2021 (Diverse Branch Block), https://arxiv.org/abs/2103.13425, section 3.
Mathematics:
    y = BN(K * x) + BN(W₁ x) + BN(A * pad(BN(W₂ x))) + BN(L * pad(BN(W₃ x)))
    K and L are k by k, W 1 by 1, A the average over k by k. If internal = c1, W₃ = I + V, and V starts at 0.
    pad surrounds a map with the values that its BatchNorm gives to 0, as if x had been padded with zeros before it; so
    each chain is one k by k kernel, up to the border: the kernels multiply (L W₃, A W₂), then the four sum.
    With g = c2 (depthwise) W₁ and W₂ are left out, and internal is 2 * c1.
Use it when a plain k by k convolution should gain accuracy at no cost in inference. It has the most branches of its
kind and takes 3 to 4 times the convolution's training time on a CPU; RepVGGBlock 1.2 to 1.5 times, ACBlock twice.
Departs: the average kernel is exact in float64 (the reference's is rounded to float32); no dilation, as there it fails.
In training the padded values come from the running statistics, without gradient, as in the reference.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.folding.batch_norm import bn_affine
from yoloplug.blocks.parts.folding.branches import Kernel, conv_norm, folded, folded_pair, plain_conv
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.registry import register

__all__ = ["DBB"]

Layers = dict[str, nn.Module]


@register(
    "DBB",
    kind="conv",
    paper="arXiv:2103.13425",
    constraints="k odd; g divides c1, c2 and internal; c1 = c2 if g = c2; no dilation",
    params="((k*k + 2)*c2 + (internal or c1))*c1//g + k*k*(internal or c1)*c2//g + 10*c2 + 2*(internal or c1)",
    macs="P*((k*k + 1)*c1 + k*k*(internal or c1))*c2//g + H*W*(c2 + (internal or c1))*c1//g",
    tail="act",
)
class DBB(nn.Module):
    """Sum of a k x k, a 1 x 1, a 1 x 1 - average and a 1 x 1 - k x k branch; one k x k convolution when fused.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    g: groups. internal: channels between 1 x 1 and k x k in the last branch; None is c1, and 2 * c1 if g = c2.
    d: 1, the only dilation for which the average and the k x k branches see the same taps.
    """

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 1, internal: int | None = None, d: int = 1
    ) -> None:
        super().__init__()
        inside = _checked(c1, c2, k, s, g, internal, d)
        p = k // 2
        self.dbb_origin = conv_norm(c1, c2, k, s, g)
        self.dbb_1x1 = conv_norm(c1, c2, 1, s, g) if g < c2 else None
        start: Layers = {"conv": nn.Conv2d(c1, c2, 1, groups=g, bias=False), "bn": _NormAndPad(c2, p)} if g < c2 else {}
        average: Layers = {"avg": nn.AvgPool2d(k, s, 0 if g < c2 else p), "avgbn": nn.BatchNorm2d(c2)}
        self.dbb_avg = Chain(OrderedDict(start | average))
        narrow: Layers = (
            {"idconv1": _IdentityConv(c1, g)}
            if inside == c1
            else {"conv1": nn.Conv2d(c1, inside, 1, groups=g, bias=False)}
        )
        wide = nn.Conv2d(inside, c2, k, s, groups=g, bias=False)
        chain: Layers = {"bn1": _NormAndPad(inside, p), "conv2": wide, "bn2": nn.BatchNorm2d(c2)}
        self.dbb_1x1_kxk = Chain(OrderedDict(narrow | chain))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dbb_origin(x) + self.dbb_avg(x) + self.dbb_1x1_kxk(x)
        return y if self.dbb_1x1 is None else y + self.dbb_1x1(x)

    @torch.no_grad()
    def to_conv(self) -> nn.Conv2d:
        """A new convolution equal to this block in eval mode."""
        conv = self.dbb_origin.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        (k, _), (s, _), g = conv.kernel_size, conv.stride, conv.groups
        kernels = [folded_pair(self.dbb_origin), self._average_kernel(k), self._chain_kernel(g)]
        if self.dbb_1x1 is not None:
            kernels.append(folded_pair(self.dbb_1x1))
        return plain_conv(kernels, s, k // 2, g=g)

    def _average_kernel(self, k: int) -> Kernel:
        *start, _, norm = self.dbb_avg
        bias = None
        if start:
            conv, padded = start
            weight, bias = folded(conv.get_parameter("weight"), padded.get_submodule("bn"))
        else:
            gain = norm.get_parameter("weight")
            weight = gain.new_ones(len(gain), 1, 1, 1)
        return folded(weight.expand(-1, -1, k, k) / k**2, norm, bias)

    def _chain_kernel(self, g: int) -> Kernel:
        """1x1 then k x k, multiplied group by group; the bias of the first passes all taps of the second."""
        first, padded, second, norm = self.dbb_1x1_kxk
        weight = first.kernel() if isinstance(first, _IdentityConv) else first.get_parameter("weight")
        inner, bias = folded(weight, padded.get_submodule("bn"))
        outer = second.get_parameter("weight").unflatten(0, (g, -1))
        product = torch.einsum("gomhw,gmi->goihw", outer, inner[..., 0, 0].unflatten(0, (g, -1)))
        passed = torch.einsum("gomhw,gm->go", outer, bias.unflatten(0, (g, -1)))
        return folded(product.flatten(0, 1), norm, passed.flatten())


class _IdentityConv(nn.Conv2d):
    """1 x 1 convolution with weight I + V; V is learned and starts at 0."""

    identity: Tensor

    def __init__(self, c: int, g: int) -> None:
        super().__init__(c, c, 1, groups=g, bias=False)
        nn.init.zeros_(self.weight)
        self.register_buffer("identity", nn.init.dirac_(torch.empty_like(self.weight), g), persistent=False)

    def kernel(self) -> Tensor:
        return self.weight + self.identity

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.kernel(), groups=self.groups)


class _NormAndPad(nn.Module):
    """BatchNorm, then p pixels around the map with the value that it gives to 0 (running statistics, no gradient)."""

    def __init__(self, c: int, p: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(c)
        self.p = [p] * 4

    def forward(self, x: Tensor) -> Tensor:
        y = normalised(self.bn, x)
        _, of_zero = bn_affine(self.bn)
        frame = F.pad(torch.zeros_like(y[:1, :1]), self.p, value=1.0)
        return F.pad(y, self.p) + frame * of_zero.detach().to(y.dtype)[:, None, None]


def _checked(c1: int, c2: int, k: int, s: int, g: int, internal: int | None, d: int) -> int:
    """The internal width. Raises ValueError with a remedy."""
    check_conv("DBB", c1, c2, k, s, g)
    if d != 1:
        raise ValueError(
            f"DBB: d={d}: its average branch has no dilated form; use d=1, or ACBlock or DOConv, which dilate"
        )
    if g == c2 != c1:
        raise ValueError(f"DBB: g=c2={c2} is the depthwise form, which needs c1=c2, got c1={c1}; use a smaller g")
    inside = internal if internal is not None else c1 if g < c2 else 2 * c1
    if inside < 1 or inside % g:
        raise ValueError(f"DBB: internal={inside} must be a positive multiple of g={g}; use {max(1, inside // g) * g}")
    return inside
