"""DCNv4: deformable aggregation with unbounded weights, and a single linear predictor.

Paper: Xiong et al. 2024, https://arxiv.org/abs/2401.06197, section 3.2. State as the authors' DCNv4 module.
Mathematics: v = W_v x; y_g(p) = Σ_t m_gt(p) v_g(p + s(t + Δ_gt(p))) over the k² taps t of group g, bilinear, 0 outside
the map; (Δ, m) = W x + b (x first through a depthwise Conv with dw_k), no softmax on m; output W_o y.
Use it when shapes vary more than a fixed window allows, at half the parameters of a 3x3 Conv. On a CPU training
takes 1.6 times a 3x3 Conv's time at 64 channels with yoloplug's C kernels; elsewhere it is grid sampling, which holds
k² times the map. On your machine: python -m experiments.speed.kernels.
Departs: channels first in and out (there: (N, HW, C)); any width per group (there: multiples of 16, for its kernel).
The tap weights' bias starts at 1 / taps, so that training starts as the window's mean; the authors start at 0, where
the output is 0 and value_proj gets no gradient in the first step.
"""

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.deformable.aggregate import DeformableAggregation
from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["DCNv4"]


@register(
    "DCNv4",
    kind="keep",
    paper="arXiv:2401.06197",
    constraints="groups divides c; k and dw_k odd",
    params="(c + 1) * 8 * ceil(3 * groups * k**2 / 8) + 2 * (c**2 + c)",
    macs="P * (c * 8 * ceil(3 * groups * k**2 / 8) + 2 * c**2 + 4 * k**2 * c)",
)
class DCNv4(DeformableAggregation):
    """Every pixel collects k x k values of its group at predicted places, with predicted weights of any size.

    Shape: (N, c, H, W) -> same. d: dilation. offset_scale multiplies the taps' grid and the offsets, in pixels.
    dw_k: kernel of a depthwise convolution in front of the predictor, None for none. center_feature_scale: blend with
    the unmoved value by a share computed from the result. remove_center: leave out the middle tap.
    output_bias: bias of the last projection. without_pointwise: neither projection, the block is one operation.
    """

    def __init__(
        self,
        c: int,
        k: int = 3,
        groups: int = 4,
        d: int = 1,
        offset_scale: float = 1.0,
        dw_k: int | None = None,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        output_bias: bool = True,
        without_pointwise: bool = False,
    ) -> None:
        super().__init__(c, k, groups, d, offset_scale, center_feature_scale, remove_center)
        self.offset_mask_dw = nn.Identity() if dw_k is None else nn.Conv2d(c, c, dw_k, padding=autopad(dw_k), groups=c)
        # The authors' kernel reads rows of a multiple of 8; what exceeds 3 * groups * taps is not used.
        self.offset_mask = nn.Linear(c, -(-3 * groups * self.taps // 8) * 8)
        self.value_proj = nn.Identity() if without_pointwise else nn.Linear(c, c)
        self.output_proj: nn.Module = nn.Identity() if without_pointwise else nn.Linear(c, c, bias=output_bias)
        for layer in (self.value_proj, self.output_proj):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        with torch.no_grad():
            nn.init.zeros_(self.offset_mask.weight)
            nn.init.zeros_(self.offset_mask.bias)
            of_groups = self.offset_mask.bias[: 3 * groups * self.taps].view(groups, 3 * self.taps)
            of_groups[:, 2 * self.taps :] = 1 / self.taps

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        value = self.value_proj(x.permute(0, 2, 3, 1))
        predicted = self.offset_mask(convolved(self.offset_mask_dw, x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        predicted = predicted[:, : 3 * self.groups * self.taps].reshape(n, self.groups, 3 * self.taps, h, w)
        offset, weights = predicted.split([2 * self.taps, self.taps], dim=2)
        across, down = watched(self, "offset", offset)[:, :, 0::2], offset[:, :, 1::2]
        watched(self, "modulation", weights)
        y = self.aggregate(value, across, down, weights)
        return self.output_proj(self.blended(y, value, y)).permute(0, 3, 1, 2)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        if isinstance(self.output_proj, nn.Linear):
            absorb_affine(self.output_proj, scale, shift)
        else:
            self.output_proj = _Affine(scale.detach(), shift.detach())


class _Affine(nn.Module):
    """scale * x + shift along the last dimension."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.clone())
        self.register_buffer("shift", shift.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("scale").to(x.dtype) + self.get_buffer("shift").to(x.dtype)
