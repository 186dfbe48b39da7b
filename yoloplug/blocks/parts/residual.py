"""What the residual units share: the width of their middle, and the shortcut."""

from torch import nn

from yoloplug.blocks.parts.norms.normalised import Chain


def middle_width(block: str, c2: int, **option: int) -> int:
    """c2 * option // 256: ResNet's base width, a quarter of c2 at 64. Raises ValueError where nothing is left."""
    ((name, value),) = option.items()
    if c2 * value < 256:
        raise ValueError(f"{block}: c2={c2} with {name}={value} leaves no channel; use {name} >= {-(-256 // c2)}")
    return c2 * value // 256


def shortcut(c1: int, c2: int, s: int) -> nn.Module:
    """1x1 convolution with stride and BatchNorm, as ResNet; the identity where x fits.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    """
    if c1 == c2 and s == 1:
        return nn.Identity()
    return Chain(nn.Conv2d(c1, c2, 1, s, bias=False), nn.BatchNorm2d(c2))
