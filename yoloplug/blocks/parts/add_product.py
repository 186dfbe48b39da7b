"""y + a * b, in one pass over memory where a converter need not read it."""

import torch
from torch import Tensor

from yoloplug.blocks.parts.memory_format import traced


def add_product(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """y + a * b of tensors that broadcast. In a recorded graph it is written out: pnnx (ncnn) has no addcmul."""
    return y + a * b if traced() else torch.addcmul(y, a, b)
