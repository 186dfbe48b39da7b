"""RepVGGBlock: a 3x3 convolution trained with a 1x1 and an identity branch beside it.

Paper: Ding et al. 2021 (RepVGG), https://arxiv.org/abs/2101.03697, sections 3.2 and 3.3.
Mathematics:
    y = BN₁(K * x) + BN₂(W x) + BN₃(x);  K is k by k, W 1 by 1; the last term only where c1 = c2 and s = 1
    Fused: W is added to the centre of K, and the identity is the 1x1 kernel that is 1 from each channel to itself.
    RepVGGSEBlock multiplies y with sigmoid(B relu(A mean(y))), c2/16 wide inside.
Use it when a plain stack of convolutions should train like a residual network and run as fast as a plain stack. Its
training costs about 1.5 times a 3x3 convolution. The SE variant stays a convolution and a gate after fusing.
Departs: any odd k; the squeeze averages maps of any shape (the reference pools square inputs only).
"""

from collections import OrderedDict

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.folding.branches import conv_norm, folded, folded_pair, plain_conv
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.reference_state import known
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["RepVGGBlock", "RepVGGSEBlock"]

_PARAMS = "(k*k + 1)*c1*c2//g + 4*c2 + 2*c1*(c1 == c2 and s == 1)"
_MACS = "P*(k*k + 1)*c1*c2//g"


@register(
    "RepVGGBlock",
    kind="conv",
    paper="arXiv:2101.03697",
    constraints="k odd (3 as published); g divides c1 and c2",
    params=_PARAMS,
    macs=_MACS,
    tail="act",
)
class RepVGGBlock(nn.Module):
    """Sum of a k x k convolution, a 1 x 1 convolution and the input, each with its BatchNorm; one conv when fused.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. g: groups.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 1) -> None:
        super().__init__()
        check_conv("RepVGGBlock", c1, c2, k, s, g)
        self.rbr_identity = nn.BatchNorm2d(c1) if c1 == c2 and s == 1 else None
        self.rbr_dense = conv_norm(c1, c2, k, s, g)
        self.rbr_1x1 = conv_norm(c1, c2, 1, s, g)

    def forward(self, x: Tensor) -> Tensor:
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        return y if self.rbr_identity is None else y + normalised(self.rbr_identity, x)

    def to_conv(self) -> nn.Conv2d:
        """A new convolution equal to this block in eval mode."""
        conv = self.rbr_dense.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        (k, _), (s, _) = conv.kernel_size, conv.stride
        kernels = [folded_pair(self.rbr_dense), folded_pair(self.rbr_1x1)]
        if self.rbr_identity is not None:
            identity = nn.init.dirac_(conv.weight.new_empty(conv.weight.shape), conv.groups)
            kernels.append(folded(identity, self.rbr_identity))
        return plain_conv(kernels, s, k // 2, g=conv.groups)


@register(
    "RepVGGSEBlock",
    kind="conv",
    paper="arXiv:2101.03697",
    constraints="k odd (3 as published); g divides c1 and c2",
    params=f"{_PARAMS} + 2*c2*max(1, c2//16) + c2 + max(1, c2//16)",
    macs=f"{_MACS} + 2*c2*max(1, c2//16)",
    tail="act",
)
class RepVGGSEBlock(nn.Module):
    """RepVGGBlock, then a gate per channel computed from the means of all channels (squeeze and excitation).

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. g: groups of the convolutions.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 1) -> None:
        super().__init__()
        self.branches: nn.Module = RepVGGBlock(c1, c2, k, s, g)
        hidden = max(1, c2 // 16)
        self.se = nn.Sequential(
            OrderedDict[str, nn.Module](
                down=nn.Conv2d(c2, hidden, 1), act=nn.ReLU(), up=nn.Conv2d(hidden, c2, 1), gate=nn.Sigmoid()
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.branches(x)
        return y * watched(self, "gate", self.se(y.mean((2, 3), keepdim=True)))

    def fold_norms(self) -> None:
        """Merge the branches into one convolution, in place."""
        if isinstance(self.branches, RepVGGBlock):
            self.branches = self.branches.to_conv()

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """State of a published RepVGGBlock with use_se=True -> ours."""
        names = r"branches\.rbr_\w+(\.conv|\.bn)?\.\w+|se\.(up|down)\.\w+"
        return known("RepVGGSEBlock", state_dict, names, {"^rbr_": "branches.rbr_"})
