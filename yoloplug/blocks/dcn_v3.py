"""DCNv3: deformable aggregation with softmax weights, groups like attention heads, and cheap per-pixel predictors.

Paper: Wang et al. 2023 (InternImage), https://arxiv.org/abs/2211.05778, section 3.1. State as its `DCNv3_pytorch`.
Mathematics: v = W_v x; y_g(p) = Σ_t m_gt(p) v_g(p + s(t + Δ_gt(p))) over the k x k taps t of group g, bilinear, 0
outside the map; Δ = W_Δ f, m = softmax_t(W_m f), f = GELU(LN(depthwise Conv(x))), s = offset_scale; output W_o y.
Use it when shapes vary and parameters are few: less than half of a 3x3 Conv's. Softmax keeps it an average; DCNv4 drops
that and the depthwise predictor, and is faster. In training on a CPU it takes about twice a 3x3 Conv's time at 64
channels with yoloplug's C kernels; on your machine: python -m experiments.speed.kernels.
Departs: channels first in and out (the reference: last); any H, W in an exported file (there: fixed at export);
positions in float64 for float64 input (there: always float32).
"""

from typing import Literal, get_args

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import one_of
from yoloplug.blocks.parts.deformable.aggregate import DeformableAggregation
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["DCNv3"]

Norm = Literal["LN", "BN"]


@register(
    "DCNv3",
    kind="keep",
    paper="arXiv:2211.05778",
    constraints="groups divides c; k and dw_k odd",
    params="c * ((dw_k or k)**2 + 3) + 3 * groups * k**2 * (c + 1) + 2 * (c**2 + c)",
    macs="P * c * ((dw_k or k)**2 + 3 * groups * k**2 + 2 * c + 4 * k**2)",
)
class DCNv3(DeformableAggregation, AbsorbsAffine):
    """Every pixel collects k x k values of its group at predicted places, with weights that sum to 1.

    Shape: (N, c, H, W) -> same. offset_scale multiplies the taps' grid and the predicted offsets, in pixels.
    center_feature_scale: blend with the unmoved value by a predicted share. remove_center: leave out the middle tap.
    dw_k: kernel of the depthwise convolution in front of the predictors, k by default. norm, act: what follows it.
    """

    last_layer = "output_proj"

    def __init__(
        self,
        c: int,
        k: int = 3,
        groups: int = 4,
        d: int = 1,
        offset_scale: float = 1.0,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        dw_k: int | None = None,
        norm: Norm = "LN",
        act: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(c, k, groups, d, offset_scale, center_feature_scale, remove_center)
        one_of("DCNv3", get_args(Norm), norm=norm)
        taps = groups * self.taps
        dw_k = k if dw_k is None else dw_k
        normalise = (
            [_ChannelsLast(), nn.LayerNorm(c, eps=1e-6)] if norm == "LN" else [nn.BatchNorm2d(c), _ChannelsLast()]
        )
        self.dw_conv = Chain(nn.Conv2d(c, c, dw_k, padding=autopad(dw_k), groups=c), nn.Sequential(*normalise), act())
        self.offset = nn.Linear(c, 2 * taps)
        self.mask = nn.Linear(c, taps)
        self.input_proj = nn.Linear(c, c)
        self.output_proj = nn.Linear(c, c)
        for layer in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for parameter in (*self.offset.parameters(), *self.mask.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        features = self.dw_conv(x)
        value = self.input_proj(x.permute(0, 2, 3, 1))
        n, _, h, w = x.shape
        offset = self.offset(features).reshape(n, h, w, self.groups, -1, 2).permute(5, 0, 3, 4, 1, 2)
        weights = self.mask(features).reshape(n, h, w, self.groups, -1).permute(0, 3, 4, 1, 2).softmax(2)
        across, down = watched(self, "offset", offset).unbind()
        watched(self, "modulation", weights)
        y = self.blended(self.aggregate(value, across, down, weights), value, features)
        return self.output_proj(y).permute(0, 3, 1, 2)


class _ChannelsLast(nn.Module):
    """(N, C, H, W) -> (N, H, W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)
