"""SAVSS: a layer of SCSegamba's backbone, and PAF, which joins the scan with the features it came from.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, sections 3.2 and 3.3. PAF is PIDNet's pixel
attention (https://arxiv.org/abs/2206.02066) with bottleneck convolutions.
"""

from __future__ import annotations

from timm.layers import DropPath
from torch import Tensor, nn

from segplug.models.scsegamba.ss2d import SS2D
from yoloplug.blocks import GBC, BottConv, GroupNorm, watched


class PAF(nn.Module):
    """Pixel by pixel and channel by channel, a mix of two maps by how alike they are.

    Shape: base, guidance (N, in_channels, H, W) -> same.
    """

    def __init__(self, in_channels: int, mid_channels: int | None = None, bottleneck: int = 16) -> None:
        super().__init__()
        mid = in_channels // 2 if mid_channels is None else mid_channels
        self.feature_transform = nn.Sequential(BottConv(in_channels, mid, 1, mid=bottleneck), nn.BatchNorm2d(mid))
        self.channel_adapter = nn.Sequential(BottConv(mid, in_channels, 1, mid=bottleneck), nn.BatchNorm2d(in_channels))

    def forward(self, base: Tensor, guidance: Tensor) -> Tensor:
        likeness = self.feature_transform(base) * self.feature_transform(guidance)
        similarity = watched(self, "similarity", self.channel_adapter(likeness).sigmoid())
        return (1 - similarity) * base + similarity * guidance


class SAVSSLayer(nn.Module):
    """GBC twice with the same weights, the scan, PAF, and a linear layer. Shape: (N, C, H, W) -> same."""

    def __init__(self, channels: int, drop_path: float = 0.0, as_published: bool = False) -> None:
        super().__init__()
        self.GBC_C = GBC(channels)
        self.norm = nn.LayerNorm(channels)
        self.SAVSS_2D = SS2D(channels, as_published=as_published)
        self.drop_path = DropPath(drop_path)
        self.PAF_256 = PAF(channels)
        self.GN_256 = GroupNorm(16, channels)
        self.linear_256 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.GBC_C(self.GBC_C(x))
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        scanned = self.drop_path(self.SAVSS_2D(tokens, (x.shape[2], x.shape[3])))
        mixed = self.GN_256(self.PAF_256(x, scanned.unflatten(1, x.shape[2:]).movedim(-1, 1)))
        return mixed + self.linear_256(self.GN_256(mixed).movedim(1, -1)).movedim(-1, 1)
