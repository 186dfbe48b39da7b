"""HorBlock: HorNet's residual unit, recursive gated convolution for space, then a two-layer perceptron for channels.

Paper: Rao et al. 2022 (HorNet), https://arxiv.org/abs/2207.14284, section 3.2. State as the reference's `Block`,
whose `gamma1` and `gamma2` are `gamma1.weight` and `gamma2.weight` here.
Mathematics:
  x ← x + gamma₁ ⊙ gnConv(LN(x))
  x ← x + gamma₂ ⊙ W₂ GELU(W₁ LN(x)),  W₁: c -> 4c, W₂: 4c -> c in every pixel
Use it when you build a HorNet backbone or have HorNet weights. As a bottleneck in C2f it has no 3x3 convolution and
starts as the identity, so a short training from scratch favours stock bottlenecks; on CPU it takes two to five times a
plain 3x3 Conv's time, on GPU its 7x7 depthwise part is slow for its few FLOPs.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.gn_conv import Filter, gnConv
from yoloplug.blocks.parts.checks import at_least_one, finite
from yoloplug.blocks.parts.norms.layer_norm_2d import LayerNorm2d
from yoloplug.blocks.parts.norms.layer_scale import LayerScale
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["HorBlock"]


@register(
    "HorBlock",
    kind="keep",
    paper="arXiv:2207.14284",
    constraints="c divisible by 2**(order-1), by 2**order with filter=global_local; 0 <= drop_path < 1",
    params="11*c**2 + 14*c + 50*(2*c - c/2**(order-1)) + 2/3*c**2*(1 - 4**(1-order)) + 2*c - 2*c/2**(order-1)",
    macs="P*(11*c**2 + 49*(2*c - c/2**(order-1)) + 2/3*c**2*(1 - 4**(1-order)))",
    tail="none",
    place="bottleneck",
)
class HorBlock(nn.Module):
    """Normalise, gnConv, add; normalise, widen four times, GELU, narrow, add.

    Shape: (N, c, H, W) -> same. order, s, filter, h, w: see gnConv.
    layer_scale: the gammas (one per channel and branch) at the start; 0 leaves them out.
    drop_path: chance that a sample skips a branch in training; the branches kept are scaled up to make up for it.
    """

    def __init__(
        self,
        c: int,
        order: int = 5,
        s: float = 1 / 3,
        filter: Filter = "dw7",
        h: int = 14,
        w: int = 8,
        layer_scale: float = 1e-6,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_one("HorBlock", c=c)
        finite("HorBlock", layer_scale=layer_scale, drop_path=drop_path)
        if layer_scale < 0:
            raise ValueError(f"HorBlock: layer_scale must be at least 0 (0: none), got {layer_scale}")
        if not 0 <= drop_path < 1:
            raise ValueError(f"HorBlock: drop_path must lie in [0, 1), got {drop_path}")
        self.drop_path = drop_path
        self.gamma1 = LayerScale(c, layer_scale) if layer_scale else nn.Identity()
        self.gamma2 = LayerScale(c, layer_scale) if layer_scale else nn.Identity()
        self.norm1 = LayerNorm2d(c)
        self.gnconv = gnConv(c, order, s, filter, h, w)
        self.norm2 = nn.LayerNorm(c, eps=1e-6)
        self.pwconv1 = nn.Linear(c, 4 * c)
        self.pwconv2 = nn.Linear(4 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._kept(self.gamma1(self.gnconv(self.norm1(x))))
        y = self.pwconv1(self.norm2(x.permute(0, 2, 3, 1)))
        return x + self._kept(self.gamma2(self.pwconv2(F.gelu(y)).permute(0, 3, 1, 2)))

    def _kept(self, y: Tensor) -> Tensor:
        """What is added to x, in training left out for some samples."""
        if not self.training or self.drop_path == 0:
            return y
        keep = 1 - self.drop_path
        return y * (torch.rand(y.shape[0], 1, 1, 1, device=y.device) < keep).to(y.dtype) / keep

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Published HorNets, and our files before 0.1.0, hold the gammas as tensors of the block itself."""
        for name in ("gamma1", "gamma2"):
            if f"{prefix}{name}" in state_dict:
                state_dict[f"{prefix}{name}.weight"] = state_dict.pop(f"{prefix}{name}")
        super()._load_from_state_dict(state_dict, prefix, *args)

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """State of HorNet's `Block`, or of ours."""
        names = r"gamma[12]\.weight|(norm1|norm2|pwconv1|pwconv2)\.(weight|bias)|gnconv\..+"
        return known("HorBlock", state, names, {"^(gamma[12])$": r"\1.weight"})
