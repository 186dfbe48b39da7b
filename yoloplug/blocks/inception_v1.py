"""InceptionV1: four views of different reach side by side, the module of GoogLeNet.

Paper: Szegedy et al. 2015 (Going deeper with convolutions), https://arxiv.org/abs/1409.4842, figure 2b.
Mathematics: y = cat[ C1(x), C3(R3(x)), C5(R5(x)), C1'(maxpool3(x)) ], each C and R a convolution with BatchNorm and
ReLU, R a 1x1 that narrows the features before the dear kernel. At c2 = 256 the widths are GoogLeNet's first module's:
64 | 96 -> 128 | 16 -> 32 | 32; other c2 keep the proportions, rounded down, and the 3x3 branch takes the rest.
Use it when a layer must see fine and coarse structure at once with a third of a plain 3x3 convolution's parameters and
FLOPs; not when latency counts: pooling and narrow convolutions take 0.6 (256 channels) to 1.4 times (64) that on a CPU.
Departs: BatchNorm behind every convolution as in every released model (the paper predates it); at s = 2 the last layer
of each branch strides (the paper never strides inside the module).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from yoloplug.blocks.parts.inception import LAYERS, Branches, Table
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["InceptionV1"]


@register(
    "InceptionV1",
    kind="conv",
    paper="arXiv:1409.4842",
    constraints="c2 >= 8, k = 3",
    params="c1*(c2//4 + 3*c2//8 + max(1, c2//16) + c2//8) + 9*(3*c2//8)*(c2 - c2//4 - 2*(c2//8))"
    " + k_wide**2*max(1, c2//16)*(c2//8) + 2*(c2 + 3*c2//8 + max(1, c2//16))",
    macs="c1*H*W*(3*c2//8 + max(1, c2//16)) + P*(c1*(c2//4 + c2//8) + 9*(3*c2//8)*(c2 - c2//4 - 2*(c2//8))"
    " + k_wide**2*max(1, c2//16)*(c2//8))",
    tail="none",
)
class InceptionV1(Branches):
    """1x1, 3x3, 5x5 and max-pool branches, concatenated.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    k_wide: kernel of the widest branch; torchvision's GoogLeNet has 3 by a known mistake its weights are trained with.
    widths: six, as torchvision names them: ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj.
    """

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, k_wide: int = 5, widths: Sequence[int] | None = None
    ) -> None:
        table: Table = {
            "branch1": "1x1 64",
            "branch2": "1x1 96, 3x3 128",
            "branch3": f"1x1 16, {k_wide}x{k_wide} 32",
            "branch4": "pool, 1x1 32",
        }
        super().__init__(c1, c2, k, s, table, nn.MaxPool2d(3, s, 1), widths)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keys of one module of torchvision's GoogLeNet, without its prefix (`inception3a.`)."""
        return known("InceptionV1", state_dict, LAYERS, {r"^branch1\.(conv|bn)": r"branch1.0.\1"})
