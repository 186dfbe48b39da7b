"""GroupBatchnorm2d: the home-made group normalisation of the de-facto SCConv code.

Source: https://github.com/cheng-haha/ScConv (the paper, Li et al. CVPR 2023, says GroupNorm).
Departs: the gain starts at 1, not at normal noise.
"""

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.checks import divides


class GroupBatchnorm2d(nn.GroupNorm):
    """(x - mean) / (std + eps) per group with the unbiased std; eps stands outside the root.

    Not interchangeable with GroupNorm: another variance, and a group needs two values or more.
    Shape: (N, c, H, W) -> same. Keys `weight`, `bias`, each (c, 1, 1).
    """

    def __init__(self, groups: int, c: int, eps: float = 1e-10) -> None:
        divides("GroupBatchnorm2d", "groups", groups, c=c)
        super().__init__(groups, c, eps)
        self.weight = nn.Parameter(torch.ones(c, 1, 1))
        self.bias = nn.Parameter(torch.zeros(c, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        exact = torch.promote_types(input.dtype, torch.float32)
        groups = input.to(exact).reshape(input.shape[0], self.num_groups, -1)
        mean, std = groups.mean(2, keepdim=True), groups.std(2, keepdim=True)
        y = ((groups - mean) / (std + self.eps)).reshape(input.shape)
        return y.to(input.dtype) * self.weight + self.bias
