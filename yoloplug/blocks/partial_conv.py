"""PartialConv: a convolution over the valid pixels only, rescaled by how many of them its window holds.

Paper: Liu et al. 2018, https://arxiv.org/abs/1804.07723, section 3.1 (holes of a picture);
Liu et al. 2018, https://arxiv.org/abs/1811.11718, section 3 (the zero padding as the hole, without a mask).
State and numbers as NVIDIA's PartialConv2d.
Mathematics:
  u = number of valid pixels in the window,  r = k² / (u + ε),  m' = min(u, 1)
  y = (W * (x ⊙ m) · r + b) · m'
  Without a mask m = 1 inside the picture and 0 in the padding: only the border differs from a plain convolution.
Use it when pictures have holes, or borders matter (small maps, large kernels) at the price of a plain convolution;
away from holes and borders it is one, so expect little on ordinary pictures.
Departs: no cache of the last mask (the reference re-uses a stale one after a call without mask, and an exported file
keeps the size it was exported at); the window is counted in float32 at least (in float16 ε vanishes and a hole gives
NaN); multi_channel with groups counts the channels that the group sees (the reference counts all).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import check_conv, finite
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["PartialConv"]


@register(
    "PartialConv",
    kind="conv",
    paper="arXiv:1804.07723",
    constraints="k odd; g divides c1 and c2",
    params="k**2*c1*c2/g + c2",
    macs="P*k**2*(c1*c2/g + 1)",
)
class PartialConv(AbsorbsAffine, nn.Conv2d):
    """Convolution whose result is scaled up where part of its window lies in a hole or in the padding.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    multi_channel: the mask has c1 channels, each with its own holes; otherwise one channel for all.
    eps: what is added to the count of valid pixels. An affine map folds in for calls without a mask; holes stay 0.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        d: int = 1,
        g: int = 1,
        bias: bool = True,
        multi_channel: bool = False,
        eps: float = 1e-8,
    ) -> None:
        finite("PartialConv", eps=eps)
        check_conv("PartialConv", c1, c2, k, s, g)
        super().__init__(c1, c2, k, s, autopad(k, d), d, g, bias)
        self.multi_channel = multi_channel
        self.eps = eps

    def forward(  # type: ignore[override]
        self, x: Tensor, mask: Tensor | None = None, return_mask: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """mask: (N, 1, H, W), or (N, c1, H, W) with multi_channel; 1 valid, 0 hole, values between are shares.

        return_mask: also give the mask for the next layer, (N, 1 or c2, H', W'), 1 where the window saw a valid pixel.
        Raises ValueError on a mask of another shape.
        """
        valid = torch.ones_like(x[:1, :1]) if mask is None else self._checked(mask, x)
        ratio, after = self._window(valid, self.multi_channel and mask is not None)
        watched(self, "ratio", ratio)
        y = F.conv2d(
            x if mask is None else x * valid, self.weight, None, self.stride, self.padding, self.dilation, self.groups
        )
        y = y * ratio.to(y.dtype)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype).reshape(-1, 1, 1)
            y = y if mask is None else y * after.to(y.dtype)  # without a mask every window sees its own centre
        if not return_mask:
            return y
        return y, after.to(y.dtype).expand(y.shape[0], self.out_channels if self.multi_channel else 1, -1, -1)

    def _window(self, valid: Tensor, wide: bool) -> tuple[Tensor, Tensor]:
        """The factor r m' and the mask m' after this layer, each (N, 1 or c2, H', W'). wide: valid has c1 channels."""
        valid = valid.detach().to(torch.promote_types(valid.dtype, torch.float32))
        groups, channels = (self.groups, self.in_channels // self.groups) if wide else (1, 1)
        valid = valid.unflatten(1, (groups, channels)).sum(2)
        kernel = valid.new_ones(groups, 1, *self.kernel_size)
        count = F.conv2d(valid, kernel, None, self.stride, self.padding, self.dilation, groups).to(valid.dtype)
        after = count.clamp(0, 1)
        ratio = channels * self.kernel_size[0] ** 2 / (count + self.eps) * after
        if groups > 1:
            each = self.out_channels // groups
            return ratio.repeat_interleave(each, 1), after.repeat_interleave(each, 1)
        return ratio, after

    def _checked(self, mask: Tensor, x: Tensor) -> Tensor:
        expected = (x.shape[0], x.shape[1] if self.multi_channel else 1, *x.shape[2:])
        if not torch.jit.is_tracing() and tuple(mask.shape) != expected:
            raise ValueError(f"PartialConv: mask must have shape {expected}, got {tuple(mask.shape)}")
        return mask.to(x.dtype)
