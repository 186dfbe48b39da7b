"""Convolve each sample of a batch with a kernel of its own; the one place where that is done."""

import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.blocks.parts.memory_format import memory_format, traced


def conv2d_per_sample(
    x: Tensor, weight: Tensor, shape: tuple[int, int, int, int], bias: Tensor | None, s: int, p: int, d: int, g: int
) -> Tensor:
    """y[n] = conv2d(x[n], weight[n], bias[n]) with stride s, padding p, dilation d and g groups.

    Shape: x (N, c1, H, W), weight N times `shape` = (c2, c1 / g, k, k), bias (N, c2) -> (N, c2, H', W').
    Eager: one convolution of N * g groups, at batch 1 a plain one. On a CPU that wants a contiguous map: one of
    channels_last, where it is larger than its kernels, takes a convolution an image, in two thirds of the time.
    A traced or ONNX graph cannot have a number of groups that depends on the batch: there it is windows times kernels,
    one matrix product for any batch and size.
    """
    if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():
        return _by_windows(x, weight, shape, bias, s, p, d, g)
    n, c1, h, w = x.shape
    pixelwise = memory_format(x) == torch.channels_last and x.device.type == "cpu" and not traced()
    if pixelwise and x.numel() > weight.numel():
        biases = [None] * n if bias is None else bias.unbind()
        images = zip(x.split(1), weight.reshape(n, *shape).unbind(), biases, strict=True)
        return torch.cat([F.conv2d(image, kernel, shift, s, p, d, g) for image, kernel, shift in images])
    weight = weight.reshape(n * shape[0], *shape[1:])
    y = F.conv2d(x.reshape(1, n * c1, h, w), weight, None if bias is None else bias.flatten(), s, p, d, n * g)
    return y.reshape(n, shape[0], y.shape[2], y.shape[3]).contiguous(memory_format=memory_format(x))


def _by_windows(
    x: Tensor, weight: Tensor, shape: tuple[int, int, int, int], bias: Tensor | None, s: int, p: int, d: int, g: int
) -> Tensor:
    """The same by unfolding: k*k times the input's memory."""
    c2, depth, k, _ = shape
    rows = (x.shape[2] + 2 * p - d * (k - 1) - 1) // s + 1
    windows = x[:, :, ::s, ::s].flatten(2) if k == 1 and p == 0 else F.unfold(x, k, d, p, s)
    windows = windows.reshape(-1, g, depth * k * k, windows.shape[2])
    y = (weight.reshape(-1, g, c2 // g, depth * k * k) @ windows).reshape(x.shape[0], c2, rows, -1)
    return y if bias is None else y + bias[:, :, None, None]
