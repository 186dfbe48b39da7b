"""SS2D of SAVSS: a selective scan over a map along four structure-aware paths.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, section 3.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segplug.models.scsegamba.orders import ScanOrders, scan_orders
from segplug.models.scsegamba.scan import scan_paths
from yoloplug.blocks import BottConv


class SS2D(nn.Module):
    """Shape: (N, H * W, channels) with its (H, W) -> (N, H * W, channels).

    The input is permuted along each of four paths, while step sizes, B and C keep the row order; B gets a learned
    vector for the direction of each step. as_published: read back the third path as the published code does, which
    gives every pixel its last value.
    """

    def __init__(self, channels: int, states: int = 16, expand: int = 2, as_published: bool = False) -> None:
        super().__init__()
        inner, self.rank, self.states, self.as_published = (
            expand * channels,
            math.ceil(channels / 16),
            states,
            as_published,
        )
        self.in_proj = nn.Linear(channels, 2 * inner)
        self.conv2d = BottConv(inner, inner, 3, mid=inner // 16)
        self.x_proj = nn.Linear(inner, self.rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.direction_Bs = nn.Parameter(torch.empty(5, states))
        self.out_proj = nn.Linear(inner, channels)
        nn.init.trunc_normal_(self.direction_Bs, std=0.02)
        self._start_with_small_steps()

    def _start_with_small_steps(self) -> None:
        """Mamba's start: step sizes spread evenly in logarithm over 0.001 to 0.1."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        steps = torch.exp(torch.empty_like(self.dt_proj.bias).uniform_(math.log(1e-3), math.log(0.1)))
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x, z = self.in_proj(x).chunk(2, dim=-1)
        x = F.silu(self._convolved(x, size))
        rates, b, c = self.x_proj(x).split([self.rank, self.states, self.states], dim=-1)
        orders = ScanOrders(*(index.to(x.device) for index in scan_orders(*size, self.as_published)))
        # The published code adds dt_proj's bias twice: in the layer, and as the scan's delta_bias.
        delta = F.softplus(F.linear(rates, self.dt_proj.weight, 2 * self.dt_proj.bias))
        into = b[:, None] + self.direction_Bs[orders.direction]
        with torch.autocast(x.device.type, enabled=False):
            wide = [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, delta, into, c)]
            y = scan_paths(wide[0], wide[1], -self.A_log.exp(), wide[2], wide[3], self.D, orders, self.as_published).to(
                z.dtype
            )
        return self.out_proj(y * F.silu(z))

    def _convolved(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """conv2d of the map, (N, H * W, inner) in and out: only its narrow middle is laid out as a map."""
        narrow, middle, wide = self.conv2d.pointwise_1, self.conv2d.depthwise, self.conv2d.pointwise_2
        hidden = F.linear(x, narrow.weight.flatten(1), narrow.bias)
        hidden = middle(hidden.unflatten(1, size).movedim(-1, 1)).flatten(2).transpose(1, 2)
        return F.linear(hidden, wide.weight.flatten(1), wide.bias)
