"""HetConv: heterogeneous kernels, k x k on one input channel in p and 1x1 on the others.

Paper: Singh et al. 2019, https://arxiv.org/abs/1903.04120, section 3.
Mathematics: y[o] = sum over i in S(o) of K[o, i] * x[i], plus sum over the other i of v[o, i]·x[i], where S(o) holds
c1/p input channels. The paper's S(o) = {i: (i - o) mod p = 0} and contiguous groups differ by a permutation of
channels only; the groups are one group convolution. The full k x k part and a dense 1x1 give the same functions, as
the centre tap of K already does what v would do inside S(o).
Use it when a plain convolution is too dear and both neighbourhood and mixing are needed: 1/p + 1/k² of its MACs (the
paper does not count the zeros), 0.6 times its training time on a CPU at p = 4. Both parts can be merged into one
dense convolution only at full cost.
Departs: masked=True zeroes the 1x1 inside S(o) in the module (published code does so in its training script, or not at
all: masked=False); any odd k and any stride.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.channel_shuffle import channel_shuffle, unshuffled
from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["HetConv"]


@register(
    "HetConv",
    kind="conv",
    paper="arXiv:1903.04120",
    constraints="k odd; p divides c1 and c2",
    params="c1*c2*k**2/p + c1*c2 + c2*bias",
    macs="(c1*c2*k**2/p + c1*c2) * P",
)
class HetConv(nn.Module):
    """Group convolution k x k in p groups plus a 1x1 convolution over the channels of the other groups.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. p: a filter is k x k on one channel in p.
    masked: the 1x1 is zero inside its own group, at the start, in the output and under training (the zeros are stored
    and counted in the cost). shifted: the groups are the channels with equal index modulo p, as in the paper's figure.
    """

    mask: Tensor

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        p: int = 4,
        masked: bool = True,
        shifted: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        at_least_one("HetConv", c1=c1, c2=c2, s=s)
        divides("HetConv", "p", p, c1=c1, c2=c2)
        self.p, self.shifted = p, shifted
        self.gwc = nn.Conv2d(c1, c2, k, s, autopad(k), groups=p, bias=bias)
        self.pwc = nn.Conv2d(c1, c2, 1, s, bias=False)
        group_in, group_out = (torch.arange(c) % p if shifted else torch.arange(c) // (c // p) for c in (c1, c2))
        other = (group_in != group_out[:, None]).to(self.pwc.weight.dtype)[..., None, None]
        self.register_buffer("mask", other if masked else torch.ones_like(other), persistent=False)
        with torch.no_grad():
            self.pwc.weight.mul_(self.mask)

    def forward(self, x: Tensor) -> Tensor:
        if self.shifted:
            y = channel_shuffle(self.gwc(channel_shuffle(x, self.gwc.in_channels // self.p)), self.p)
        else:
            y = self.gwc(x)
        return y + F.conv2d(x, self.pwc.weight * self.mask, stride=self.pwc.stride)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        with torch.no_grad():
            self.pwc.weight.mul_(scale.to(self.pwc.weight).reshape(-1, 1, 1, 1))
        if self.shifted:
            scale, shift = unshuffled(scale, self.p), unshuffled(shift, self.p)
        absorb_affine(self.gwc, scale, shift)

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keys gwc, pwc are ours. sxpro's HetConv2d_v2 (blocks.O.0, blocks.O.1) becomes the shifted form with bias, its
        efficient form (conv3x3 + conv1x1 - conv1x1_, the last in p groups) the plain masked one.
        """
        if "conv3x3.weight" in state:
            return _from_difference(known("HetConv", state, r"conv(3x3|1x1|1x1_)\.(weight|bias)"))
        if "blocks.0.0.weight" not in state:
            return known("HetConv", state, r"gwc\.(weight|bias)|pwc\.weight")
        known("HetConv", state, r"blocks\.\d+\.[01]\.(weight|bias)")
        c2 = 1 + max(int(key.split(".")[1]) for key in state)
        own, rest = state["blocks.0.0.weight"].shape[1], state["blocks.0.1.weight"].shape[1]
        c1, p = own + rest, (own + rest) // own
        pwc = state["blocks.0.1.weight"].new_zeros(c2, c1, 1, 1)
        for o in range(c2):
            others = [i for i in range(c1) if (i - o) % p]
            pwc[o, others] = state[f"blocks.{o}.1.weight"][0]
        order = [o for group in range(p) for o in range(group, c2, p)]
        gwc = torch.cat([state[f"blocks.{o}.0.weight"] for o in order])
        bias = torch.cat([state[f"blocks.{o}.0.bias"] + state[f"blocks.{o}.1.bias"] for o in order])
        return {"gwc.weight": gwc, "gwc.bias": bias, "pwc.weight": pwc}


def _from_difference(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both 1x1 kernels act inside the groups only together with the k x k one: there they join its central tap."""
    gwc, pwc = state["conv3x3.weight"].clone(), state["conv1x1.weight"].clone()
    inside, centre = state["conv1x1_.weight"], gwc.shape[-1] // 2
    c2, own = gwc.shape[:2]
    for group, rows in enumerate(torch.arange(c2).chunk(pwc.shape[1] // own)):
        columns = slice(group * own, (group + 1) * own)
        gwc[rows, :, centre, centre] += (pwc[rows, columns] - inside[rows])[..., 0, 0]
        pwc[rows, columns] = 0
    ours = {"gwc.weight": gwc, "pwc.weight": pwc}
    if "conv3x3.bias" in state:
        ours["gwc.bias"] = state["conv3x3.bias"] + state["conv1x1.bias"] - state["conv1x1_.bias"]
    return ours
