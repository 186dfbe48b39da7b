"""Which layout a map has in memory, for operations that would answer in another one."""

import torch
from torch import Tensor

__all__ = ["memory_format"]


def memory_format(x: Tensor) -> torch.memory_format:
    """channels_last for a map (N, C, H, W) that is stored pixel by pixel only, otherwise the contiguous format."""
    pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if pixelwise else torch.contiguous_format
