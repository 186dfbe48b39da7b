"""GatedConv: a convolution that also predicts, for every pixel and channel, how much of its result to let through.

Paper: Yu et al. 2019, https://arxiv.org/abs/1806.03589, section 3.1. One convolution makes both halves, features first,
as in the authors' code; state as in https://github.com/nipponjo/deepfillv2-pytorch.
Mathematics:
  f, g = split(W * x + b, 2)
  y = ELU(f) ⊙ sigmoid(g)
Use it when some pixels should count less than others and the network must find out which (holes, occlusion, specular
spots): it costs two plain convolutions, on CPU and GPU alike.
Departs: strided convolutions pad both sides alike (padding="same" pads the bottom and right first, as TensorFlow);
an output of three channels is gated too (the authors take c2 = 3 for the final picture: use nn.Conv2d there).
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, one_of
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.blocks.parts.watch import is_watched, watched
from yoloplug.native.gate import gated
from yoloplug.native.use import applies, hooked
from yoloplug.registry import register

__all__ = ["GatedConv"]

Padding = Literal["symmetric", "same", "reflect", "replicate"]
_MODES: dict[Padding, Literal["zeros", "reflect", "replicate"]] = {
    "symmetric": "zeros",
    "same": "zeros",
    "reflect": "reflect",
    "replicate": "replicate",
}


@register(
    "GatedConv",
    kind="conv",
    paper="arXiv:1806.03589",
    constraints="k odd; with padding=same s <= (k-1)*d + 1",
    params="2*c2*(k**2*c1 + 1)",
    macs="P*2*k**2*c1*c2",
)
class GatedConv(nn.Module):
    """Multiply a convolution's activated features by a learned gate between 0 and 1.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    padding: zeros on both sides, zeros as TensorFlow's "same", or the picture mirrored or continued (reflect needs maps
    larger than the padding).
    gate_first: leave out `act`; the activation then follows outside, in YOLO after the host's BatchNorm: the form
    act(norm(f ⊙ sigmoid(g))) of https://github.com/zhaoyuzhi/deepfillv2.
    The paper's up-sampling layer is nn.Upsample, then this.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        d: int = 1,
        padding: Padding = "symmetric",
        gate_first: bool = False,
        act: type[nn.Module] = nn.ELU,
    ) -> None:
        super().__init__()
        at_least_one("GatedConv", c1=c1, c2=c2, s=s)
        one_of("GatedConv", get_args(Padding), padding=padding)
        p = autopad(k, d)
        self.pad = _Same(k, s, d) if padding == "same" else nn.Identity()
        self.conv = nn.Conv2d(c1, 2 * c2, k, s, 0 if padding == "same" else p, d, padding_mode=_MODES[padding])
        self.act = nn.Identity() if gate_first else act()

    def forward(self, x: Tensor) -> Tensor:
        # unsafe: loaded by Ultralytics, act works in place, which chunk's views refuse. Slices' gradients are two maps.
        both = self.conv(self.pad(x))
        elu = type(self.act) is nn.ELU and self.act.alpha == 1
        if both.dim() == 4 and both.dtype != torch.bfloat16 and (elu or type(self.act) is nn.Identity):
            if applies(both) and not is_watched() and not hooked(self.act):
                return gated(both, elu)
        features, gate = torch.unsafe_chunk(both, 2, dim=1)
        return self.act(features) * watched(self, "gate", gate.sigmoid())

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """State of zhaoyuzhi's GatedConv2d (two convolutions) -> ours; ours stays as it is."""
        merged = {}
        for key, value in state.items():
            if key.startswith("conv2d."):
                merged["conv." + key.removeprefix("conv2d.")] = torch.cat([value, state["mask_" + key]])
            elif not key.startswith("mask_conv2d."):
                merged[key] = value
        return known("GatedConv", merged, r"conv\.(weight|bias)")


class _Same(nn.Module):
    """TensorFlow's padding: as little as gives ceil(size / s), the odd pixel at the bottom and right."""

    def __init__(self, k: int, s: int, d: int) -> None:
        super().__init__()
        self.s, self.least = s, (k - 1) * d + 1 - s
        if self.least < 0:
            most = f"(k-1)*d + 1 = {self.least + s}"
            raise ValueError(f"GatedConv: padding='same' needs s <= {most}, got s={s}; use padding='symmetric'")

    def forward(self, x: Tensor) -> Tensor:
        h, w = (self.least + -size % self.s for size in x.shape[2:])
        return F.pad(x, [w // 2, w - w // 2, h // 2, h - h // 2])
