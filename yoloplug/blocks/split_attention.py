"""SplitAttention: several convolutions of the same input, weighed channel by channel by attention between them.

Paper: Zhang et al. 2022 (ResNeSt), https://arxiv.org/abs/2004.08955, section 3.1.
Mathematics: u_1 .. u_r = relu(bn(K_j(x))), r = radix, K_j a convolution of the j-th part of x's channels to c2;
g = mean over pixels of (u_1 + .. + u_r); a = softmax over j of F2(relu(bn(F1(g)))), F1 and F2 1x1 convolutions,
sigmoid if r = 1; y = sum over j of a_j * u_j.
Use it when the right features depend on the image as a whole: about the cost of one plain convolution, since r times
the output goes with an r-th of the input. The global mean ties every output to the whole image, so a larger image at
test time shifts the attention; on a GPU the small attention layers wait for launches.
Departs: trains at batch 1 (the reference's norm of the pooled features fails there; here that step uses its running
statistics). Parts of the attention are grouped as the reference does it, so published weights load.
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.norms.pooled_batch_norm_2d import PooledBatchNorm2d
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["SplitAttention"]


@register(
    "SplitAttention",
    kind="conv",
    paper="arXiv:2004.08955",
    constraints="c1 divisible by radix * groups; c2 and max(32, c1 * radix // reduction) divisible by groups; k odd",
    params="k**2*c1*c2/groups + c2*radix*(2 if norm else 1) + c2*radix"
    " + max(32, c1*radix//reduction)*(c2*(1 + radix)/groups + (3 if norm else 1))",
    macs="k**2*c1*c2/groups*P + max(32, c1*radix//reduction)*c2*(1 + radix)/groups",
    tail="none",
)
class SplitAttention(nn.Module):
    """Convolution in `radix` parts that compete for each output channel.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    groups: of the convolution and the attention (the paper's cardinality). reduction: the attention's hidden layer has
    max(32, c1 * radix // reduction) channels. norm: BatchNorm inside; without it the convolution has a bias.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        radix: int = 2,
        groups: int = 1,
        reduction: int = 4,
        norm: bool = True,
    ) -> None:
        super().__init__()
        at_least_one("SplitAttention", c1=c1, c2=c2, s=s, radix=radix, groups=groups, reduction=reduction)
        divides("SplitAttention", "radix*groups", radix * groups, c1=c1)
        hidden = max(32, c1 * radix // reduction)
        divides("SplitAttention", "groups", groups, c2=c2, hidden=hidden)
        self.radix, self.groups = radix, groups
        self.conv = nn.Conv2d(c1, c2 * radix, k, s, autopad(k), groups=groups * radix, bias=not norm)
        self.bn0 = nn.BatchNorm2d(c2 * radix) if norm else nn.Identity()
        self.fc1 = nn.Conv2d(c2, hidden, 1, groups=groups)
        self.bn1: nn.Module = PooledBatchNorm2d(hidden) if norm else nn.Identity()
        self.fc2 = nn.Conv2d(hidden, c2 * radix, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        parts = normalised(self.bn0, self.conv(x), "relu").chunk(self.radix, dim=1)
        pooled = sum(parts[1:], parts[0]).mean((2, 3), keepdim=True)
        weights = (
            self._attention(self.fc2(self.bn1(self.fc1(pooled)).relu())).to(parts[0].dtype).chunk(self.radix, dim=1)
        )
        watched(self, "attention", weights)
        weighed = [part * weight for part, weight in zip(parts, weights, strict=True)]
        return sum(weighed[1:], weighed[0])

    def _attention(self, logits: Tensor) -> Tensor:
        """(N, groups * radix * c, 1, 1) -> (N, radix * groups * c, 1, 1), softmax over the radix."""
        if self.radix == 1:
            return logits.sigmoid()
        apart = logits.reshape(-1, self.groups, self.radix, logits.shape[1] // (self.groups * self.radix))
        return apart.transpose(1, 2).softmax(dim=1).reshape(-1, logits.shape[1], 1, 1)

    def fold_norms(self) -> None:
        fold_named(self, bn0="conv", bn1="fc1")
