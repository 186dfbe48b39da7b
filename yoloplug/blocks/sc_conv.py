"""SCConv: a convolution that removes spatial redundancy, then channel redundancy.

Paper: Li, Wen, He, CVPR 2023, "SCConv: Spatial and Channel Reconstruction Convolution for Feature Redundancy".
The paper has no code; state and numbers follow https://github.com/cheng-haha/ScConv, which everybody compares with.
Where that code leaves the paper, the paper's reading is an option: gate="hard" (0/1 masks only) and softmax="branches"
(the two branches compete channel by channel; the code lets all 2c channels compete, which shrinks its output about 2c
times, so a normalisation should follow).
Mathematics:
  SRU: r = sigmoid(GN(x) · gain / Σ gain)
       rich = x where r > t, x · r elsewhere;  poor = 0 where r > t, x · r elsewhere
       z = rich + (poor with its channel halves swapped)
  CRU: u, l = 1x1 squeezes of a share alpha of z's channels and of the rest
       Y1 = groupwise k x k(u) + 1x1(u),  Y2 = [1x1(l), l];  a = softmax of the pooled [Y1, Y2];  y = a1 ⊙ Y1 + a2 ⊙ Y2
Use it when parameters count: about a fifth of a 3x3 Conv's. It takes about that Conv's time on a CPU, 1.2 of it in
training, with yoloplug's C kernels, twice without, and its many small steps hold a GPU back.
The gate is a step at t: rounding may put a value near it on the other side.
Measured: on blood cells (experiments/results/bccd-blocks-12: 12 epochs, 320 px, bf16, three seeds) C2f_SCConv has AP
.457, stock .475, stock of SCConv's size .494: no difference to stock is shown; one of .073 would have been found in
four of five such comparisons. An earlier one found it worse by .053, and a default of ours was at fault for most: the
norm behind the block began its running variance at 1, where the block's maps have 4e-6 to 2e-4 after training. Of that,
.97^312 = 7.5e-5 was left after 312 steps; added to the running variances of these three runs it costs .025, .061 and
.032 of mAP50-95. Gradients over weights are a fifth of the stock convolution's (192 px, step 0).
Departs: GroupNorm always in SCConv; the sum of gains is one operation.
"""

from math import copysign, inf, log
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.add_product import add_product
from yoloplug.blocks.parts.checks import at_least_one, divides, finite, one_of
from yoloplug.blocks.parts.norms.group_norm import GroupNorm
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import is_watched, watched
from yoloplug.native.normalise import group_normalise
from yoloplug.native.separate import separated
from yoloplug.native.use import applies, hooked
from yoloplug.registry import register

__all__ = ["CRU", "SRU", "SCConv"]

Mask = Literal["soft", "hard"]
Softmax = Literal["channels", "branches"]


@register(
    "SCConv",
    kind="keep",
    paper="doi:10.1109/CVPR52729.2023.00596",
    constraints="c even, divisible by groups and conv_groups; int(alpha*c) // squeeze divisible by conv_groups",
    params="3*c + floor(alpha*c)//squeeze * (floor(alpha*c) + k**2*c/conv_groups + c)"
    " + (c - floor(alpha*c))//squeeze * (2*c - floor(alpha*c) - (c - floor(alpha*c))//squeeze)",
    macs="P*(floor(alpha*c)//squeeze * (floor(alpha*c) + k**2*c/conv_groups + c)"
    " + (c - floor(alpha*c))//squeeze * (2*c - floor(alpha*c) - (c - floor(alpha*c))//squeeze))",
)
class SCConv(nn.Module):
    """Spatial reconstruction unit, then channel reconstruction unit.

    Shape: (N, c, H, W) -> same; k odd. See SRU and CRU for the options.
    """

    def __init__(
        self,
        c: int,
        groups: int = 4,
        gate_threshold: float = 0.5,
        alpha: float = 0.5,
        squeeze: int = 2,
        conv_groups: int = 2,
        k: int = 3,
        gate: Mask = "soft",
        softmax: Softmax = "channels",
    ) -> None:
        super().__init__()
        self.SRU = SRU(c, groups, gate_threshold, gate)
        self.CRU = CRU(c, alpha, squeeze, conv_groups, k, softmax)

    def forward(self, x: Tensor) -> Tensor:
        return self.CRU(self.SRU(x))


class SRU(nn.Module):
    """Split x by how informative its values are; add the poor part of each half to the rich part of the other.

    Shape: (N, c, H, W) -> same. A value is informative where sigmoid(norm(x) * gain / sum of gains) > gate_threshold.
    gate: soft keeps the sigmoid below the threshold in both parts; hard keeps nothing there in the rich part and
    everything in the poor part, and then the norm gets no gradient.
    norm: class called with (groups, c), whose `weight` is the gain; GroupBatchnorm2d is the de-facto code's own.
    """

    def __init__(
        self,
        c: int,
        groups: int = 16,
        gate_threshold: float = 0.5,
        gate: Mask = "soft",
        norm: type[nn.Module] = GroupNorm,
    ) -> None:
        super().__init__()
        finite("SRU", gate_threshold=gate_threshold)
        if c < 2 or c % 2:
            raise ValueError(f"SRU: c must be even (it swaps halves), got c={c}")
        divides("SRU", "groups", groups, c=c)
        one_of("SRU", get_args(Mask), gate=gate)
        self.gn = norm(groups, c)
        self.gate = gate
        # Compared before the sigmoid: many channels bring it nearer to 0.5 than half precision can tell.
        inside = 0 < gate_threshold < 1
        self.logit = log(gate_threshold / (1 - gate_threshold)) if inside else copysign(inf, gate_threshold - 0.5)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.gn
        if type(norm) is GroupNorm and self.gate == "soft" and x.dtype != torch.bfloat16 and x.dim() == 4:
            if applies(x, norm.weight, norm.bias) and not is_watched() and not hooked(norm):
                share = norm.weight / norm.weight.sum()
                logits = group_normalise(x, norm.weight * share, norm.bias * share, norm.num_groups, norm.eps)
                return separated(x, logits, self.logit)
        gain = norm.get_parameter("weight").reshape(-1, 1, 1)
        logits = norm(x) * (gain / gain.sum())
        reweight = watched(self, "gate", logits.sigmoid())
        informative = watched(self, "informative", logits > self.logit)
        poor = (x if self.gate == "hard" else x * reweight).masked_fill(informative, 0)
        rich = torch.where(informative, x, 0 if self.gate == "hard" else poor)
        return rich + torch.cat(poor.chunk(2, dim=1)[::-1], dim=1)


class CRU(nn.Module):
    """Split the channels, extract rich features from one part and cheap ones from the other, and weigh both by content.

    Shape: (N, c, H, W) -> same. alpha: share of the rich part. squeeze: factor of the 1x1 in front of each part.
    softmax: the attention over the pooled features runs over all 2c channels, or over each pair of branches.
    """

    def __init__(
        self,
        c: int,
        alpha: float = 0.5,
        squeeze: int = 2,
        conv_groups: int = 2,
        k: int = 3,
        softmax: Softmax = "channels",
    ) -> None:
        super().__init__()
        one_of("CRU", get_args(Softmax), softmax=softmax)
        finite("CRU", alpha=alpha)
        up = int(alpha * c)
        low = c - up
        rich, cheap = _squeezed(c, alpha, squeeze, conv_groups)
        self.parts = [up, low]
        self.squeeze1 = nn.Conv2d(up, rich, 1, bias=False)
        self.squeeze2 = nn.Conv2d(low, cheap, 1, bias=False)
        self.GWC = nn.Conv2d(rich, c, k, padding=autopad(k), groups=conv_groups)
        self.PWC1 = nn.Conv2d(rich, c, 1, bias=False)
        self.PWC2 = nn.Conv2d(cheap, c - cheap, 1, bias=False)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        up, low = x.split(self.parts, dim=1)
        up, low = self.squeeze1(up), self.squeeze2(low)
        rich = self.GWC(up) + self.PWC1(up)
        cheap = torch.cat([self.PWC2(low), low], dim=1)
        pooled = torch.stack([rich.mean((2, 3)), cheap.mean((2, 3))], dim=1)
        attention = (
            pooled.flatten(1).softmax(1).reshape(pooled.shape) if self.softmax == "channels" else pooled.softmax(1)
        )
        first, second = watched(self, "attention", attention)[..., None, None].to(rich.dtype).unbind(1)
        return add_product(rich * first, cheap, second)


def _squeezed(c: int, alpha: float, squeeze: int, conv_groups: int) -> tuple[int, int]:
    """Channels of both parts of CRU after their squeeze. Raises ValueError with a remedy."""
    if not 0 < alpha < 1:
        raise ValueError(f"CRU: alpha must lie between 0 and 1, got {alpha}")
    at_least_one("CRU", squeeze=squeeze)
    up = int(alpha * c)
    rich, cheap = up // squeeze, (c - up) // squeeze
    if min(rich, cheap) < 1:
        raise ValueError(
            f"CRU: c={c} with alpha={alpha} and squeeze={squeeze} leaves parts of {rich} and {cheap} channels; "
            "use a wider c or a smaller squeeze"
        )
    divides("CRU", "conv_groups", conv_groups, **{"c": c, "int(alpha*c) // squeeze": rich})
    return rich, cheap
