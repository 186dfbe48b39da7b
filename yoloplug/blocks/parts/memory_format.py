"""Which layout a map has in memory, for operations that would answer in another one."""

import torch
from torch import Tensor


def memory_format(x: Tensor) -> torch.memory_format:
    """channels_last for a map (N, C, H, W) that is stored pixel by pixel only, otherwise the contiguous format."""
    pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if pixelwise else torch.contiguous_format


def traced() -> bool:
    """Whether a graph is recorded (trace, compile, export, ONNX), which should hold for every size and layout."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
