"""Convolution over patches: as little padding as an output of ceil(size / s) needs, none where s divides the size."""

from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.memory_format import traced


class PatchConv(nn.Conv2d):
    """nn.Conv2d(c1, c2, k, s) whose last patch may reach over the bottom and right border into zeros.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). With k = s the same as without padding where s divides H and
    W; with k > s the surplus k - s is shared by both sides. Raises ValueError if k < s, which would skip pixels.
    """

    def __init__(self, c1: int, c2: int, k: int, s: int) -> None:
        at_least_one("PatchConv", c1=c1, c2=c2, s=s)
        if k < s:
            raise ValueError(f"PatchConv: k={k} with s={s} would skip pixels; use k >= {s}")
        super().__init__(c1, c2, k, s)
        before = (k - s) // 2
        self.border = [before, k - 1 - before] * 2

    def forward(self, input: Tensor) -> Tensor:
        whole = (
            self.kernel_size == self.stride and input.shape[2] % self.stride[0] == input.shape[3] % self.stride[1] == 0
        )
        # More zeros at the end than any size needs: what is left of them after the last patch goes unused.
        return super().forward(input if whole and not traced() else F.pad(input, self.border))
