"""HSBlock: hierarchical split, each group of channels hands half of what it saw to the next.

Paper: Yuan et al. 2020 (HS-ResNet), https://arxiv.org/abs/2010.07621, section 3.1.
Mathematics: x_1 .. x_n = groups of x, n = splits; y_1 = x_1; y_i = K_i(cat[x_i, b_(i-1)]), K a 3x3 convolution with
BatchNorm and ReLU that keeps its width, y_i = [a_i, b_i] halves (a the larger), b_1 = nothing; the output is
cat[y_1, a_2 .. a_(n-1), y_n], as wide as x.
Use it when a 3x3 convolution should see many ranges with few parameters: at 8 splits a third of a plain one's. On a
CPU it takes 0.8 to 1.2 times that one's time. The groups run one after the other in small kernels,
which a GPU fills badly.
Departs: none in mathematics. The paper has no official code; names of weights follow bobo0810/HS-ResNet. The bias in
front of BatchNorm, where it is idle, is left out (convert_reference moves it into the running mean). A group of one
channel cannot be halved and is refused (that code fails).
"""

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.folding.idle_bias import without_idle_bias
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["HSBlock"]


@register(
    "HSBlock",
    kind="keep",
    paper="arXiv:2010.07621",
    constraints="2 <= splits < c",
    params="sum(9*a**2 + 2*a for a in (2*(c//splits) - ceil(c//splits/2**i) for i in range(splits - 1)))"
    "  # c divisible by splits",
    macs="P*sum(9*(2*(c//splits) - ceil(c//splits/2**i))**2 for i in range(splits - 1))  # c divisible by splits",
    tail="none",
)
class HSBlock(nn.Module):
    """3x3 convolutions over groups of channels, half of each result feeding the next.

    Shape: (N, c, H, W) -> same.
    splits: number of groups; a group has ceil(c / splits) channels, the last the rest, so there can be fewer groups
    (27 channels in 8 splits: six groups of 4 and one of 3).
    """

    def __init__(self, c: int, splits: int = 8) -> None:
        super().__init__()
        if splits < 2:
            raise ValueError(f"HSBlock: splits must be at least 2, got {splits}")
        width = -(-c // splits)
        if width < 2:
            raise ValueError(
                f"HSBlock: c={c} in splits={splits} leaves one channel a group, which cannot be halved; "
                + (f"use splits <= {max(2, c // 2)}" if c > 2 else "use c >= 3")
            )
        self.sizes = [min(width, c - start) for start in range(0, c, width)]
        self.module_list = nn.ModuleList([nn.Identity()])
        self.cuts: list[list[int]] = []
        handed = 0
        for position, size in enumerate(self.sizes[1:], 1):
            wide = size + handed
            handed = wide // 2 if position < len(self.sizes) - 1 else 0
            self.cuts.append([wide - handed, handed] if handed else [wide])
            conv = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.module_list.append(Chain(conv, nn.BatchNorm2d(wide), nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        first, *groups = x.split(self.sizes, dim=1)
        out: list[Tensor] = [self.module_list[0](first)]
        handed: list[Tensor] = []
        for group, layers, cut in zip(groups, list(self.module_list)[1:], self.cuts, strict=True):
            kept, *handed = layers(torch.cat([group, *handed], dim=1)).split(cut, dim=1)
            out.append(kept)
        return torch.cat(out, dim=1)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """State of bobo0810's HSBlock, which has biases in front of its norms."""
        state = without_idle_bias(state_dict, ".0", ".1")
        return known("HSBlock", state, r"module_list\.\d+\.(0\.weight|1\.\w+)")
