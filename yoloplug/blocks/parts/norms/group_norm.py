"""Group normalisation that also accepts one value per group.

Paper: Wu & He 2018, https://arxiv.org/abs/1803.08494.
"""

import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm without its refusal of a single value per group (a 1x1 map at batch 1).

    Such a value becomes the bias, as PyTorch itself answers for a batch of two.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
