"""gnConv: recursive gated convolution, spatial interactions of a chosen order.

Paper: Rao et al. 2022 (HorNet), https://arxiv.org/abs/2207.14284, section 3.1.
Mathematics:
  p_0, q = split(W_in x) with d_0 and d_0 + … + d_{n-1} channels,  d_i = c / 2^(n-1-i),  n = order
  q_0, …, q_{n-1} = split(s · DW7x7(q))
  p_1 = p_0 ⊙ q_0,  p_{i+1} = (W_i p_i) ⊙ q_i for i = 1 … n-1,  y = W_out p_n
Use it when far pixels should decide what passes (long thin things, context) and normalised features come in. It saves
parameters, not time: with its 7x7 depthwise convolution over nearly 2c channels it takes 1.2 times (NCHW) to 1.8 times
(channels_last) a plain 3x3 Conv's time on a CPU at 64 channels, training 1.4 to 2.5 times, 3.3 to 3.7 times without our
C kernels; on wide, small maps (256 channels, 20x20) less than a Conv's. On a GPU it is bound by memory. High orders
belong into wide, small maps. filter=global_local sees the whole map for one size of picture at a time.
Measured: on blood cells (experiments/results/bccd-blocks-12: 12 epochs, 320 px, bf16, three seeds) C2f_gnConv has AP
.463, stock .475, stock of gnConv's size .493: no difference is shown; one of .055 would have been found in four of five
such comparisons. An earlier one found it worse by .057, and a default of ours was at fault for a part: the norm behind
the block began its running variance at 1, where the block's maps have 2e-5 to 3e-4 after training. Of that, .97^312 =
7.5e-5 was left after 312 steps; added to the running variances of these three runs it costs .017, .020 and .027 of
mAP50-95. The training losses of the two models run together. In the neck alone (C2f_gnConv-neck) AP is .484. Gradients
over weights are .4 to .2 of the stock convolution's, 1e-4 in the first gates of order 5 (192 px, step 0).
Departs: s defaults to 1/3 as in every released HorNet (the reference class defaults to 1; order 5 then explodes).
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, finite, one_of
from yoloplug.blocks.parts.filters.global_local_filter import GlobalLocalFilter
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.memory_format import memory_format, traced
from yoloplug.blocks.parts.watch import watched
from yoloplug.native.depthwise import depthwise
from yoloplug.native.use import applies
from yoloplug.registry import register

__all__ = ["Filter", "gnConv"]

Filter = Literal["dw7", "global_local"]


@register(
    "gnConv",
    kind="keep",
    paper="arXiv:2207.14284",
    constraints="c divisible by 2**(order-1), by 2**order with filter=global_local",
    params="3*c**2 + 3*c + 50*(2*c - c/2**(order-1)) + 2/3*c**2*(1 - 4**(1-order)) + 2*c - 2*c/2**(order-1)",
    macs="P*(3*c**2 + 49*(2*c - c/2**(order-1)) + 2/3*c**2*(1 - 4**(1-order)))",
)
class gnConv(AbsorbsAffine):
    """Multiply features with themselves `order` times through gates that grow in width.

    Shape: (N, c, H, W) -> same. The output is a polynomial of degree order + 1 of x: normalise x before it.
    s scales the spatial filter. h, w: spectrum size of the global_local filter (see GlobalLocalFilter).
    """

    last_layer = "proj_out"

    def __init__(
        self, c: int, order: int = 5, s: float = 1 / 3, filter: Filter = "dw7", h: int = 14, w: int = 8
    ) -> None:
        super().__init__()
        finite("gnConv", s=s)
        _check(c, order, filter)
        self.scale = s
        self.dims = [c // 2 ** (order - 1 - i) for i in range(order)]
        wide = sum(self.dims)
        self.proj_in = nn.Conv2d(c, 2 * c, 1)
        self.dwconv = (
            nn.Conv2d(wide, wide, 7, padding=3, groups=wide) if filter == "dw7" else GlobalLocalFilter(wide, h, w)
        )
        self.proj_out = nn.Conv2d(c, c, 1)
        self.pws = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(self.dims, self.dims[1:], strict=False))

    def forward(self, x: Tensor) -> Tensor:
        p, q = self.proj_in(x).split([self.dims[0], sum(self.dims)], dim=1)
        gates = watched(self, "gate", self._filtered(q, x).split(self.dims, dim=1))
        p = p * gates[0]
        for widen, gate in zip(self.pws, gates[1:], strict=True):
            p = widen(p) * gate
        return self.proj_out(p)

    def _filtered(self, q: Tensor, x: Tensor) -> Tensor:
        """The spatial filter times its scale, in the layout of x.

        Its weight gradient takes most of a training step on a CPU: by torch in channels_last a third to half less than
        in NCHW, by our kernel a tenth.
        """
        if not isinstance(self.dwconv, nn.Conv2d):
            return self.dwconv(q) * self.scale
        assert self.dwconv.bias is not None
        weight, bias = self.dwconv.weight * self.scale, self.dwconv.bias * self.scale
        trains = weight.requires_grad and x.device.type == "cpu" and not traced()
        if (trains or x.is_contiguous()) and applies(q, weight, bias):
            return depthwise(q, weight, bias)
        inside = torch.channels_last if trains else memory_format(x)
        y = F.conv2d(q.contiguous(memory_format=inside), weight, bias, padding=3, groups=q.shape[1])
        return y.contiguous(memory_format=memory_format(x))


def _check(c: int, order: int, filter: str) -> None:
    one_of("gnConv", get_args(Filter), filter=filter)
    at_least_one("gnConv", order=order)
    twos = order - 1 if filter == "dw7" else order
    if c > 0 and c % 2**twos == 0:
        return
    power = "2**(order-1)" if filter == "dw7" else "2**order"
    possible = (c & -c).bit_length() - (filter != "dw7")
    remedy = f"use order <= {possible}" if possible > 0 and c > 0 else "use an even c"
    raise ValueError(f"gnConv: c={c} is not divisible by {power}={2**twos}; {remedy}")
