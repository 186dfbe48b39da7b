"""CondConvResidual: an inverted residual unit whose three convolutions share one router.

Paper: Yang et al. 2019 (CondConv), https://arxiv.org/abs/1904.04971, section 4. State as timm's `CondConvResidual`.
Mathematics: r = sigmoid(R * GAP(x) + b);  y = x + BN(P'(r) * act(BN(D(r) * act(BN(P(r) * x))))), with 1x1 P and P',
depthwise D, each mixed from experts by the same r; no x where width or size change.
Use it when multiply-adds count more than time: the paper's own seat for CondConv. With expand=2 and four experts it has
the parameters of a stock bottleneck and a quarter of its multiply-adds, but depthwise work is slow: on one CPU thread
two 3x3 convolutions take about as long (0.6 to 1.4 times, by map size and batch).
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import finite
from yoloplug.blocks.parts.experts.expert_conv import ExpertConv2d
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.memory_format import memory_format, traced
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["CondConvResidual"]


@register(
    "CondConvResidual",
    kind="conv",
    paper="arXiv:1904.04971",
    constraints="k odd; c1 * expand >= 1",
    params="experts * (floor(c1 * expand) * (c1 + c2 + k**2) + c1 + 1) + 4 * floor(c1 * expand) + 2 * c2",
    macs="H * W * c1 * floor(c1 * expand) + P * floor(c1 * expand) * (c2 + k**2)"
    " + experts * (floor(c1 * expand) * (c1 + c2 + k**2) + c1)",
    tail="none",
    place="bottleneck",
)
class CondConvResidual(nn.Module):
    """Widen, filter by depth, narrow: three CondConvs with one router on the unit's input.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. x is added where c1 == c2 and s == 1.
    experts: kernels to mix. expand: hidden width over c1 (the paper's networks: 6). act: class of the activation.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        experts: int = 4,
        expand: float = 2.0,
        act: type[nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        finite("CondConvResidual", expand=expand)
        hidden = int(c1 * expand)
        if hidden < 1:
            raise ValueError(
                f"CondConvResidual: c1={c1} with expand={expand} leaves no hidden channel; use a larger one"
            )
        self.conv_pw = ExpertConv2d(c1, hidden, 1, 1, experts)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv_dw = ExpertConv2d(hidden, hidden, k, s, experts, g=hidden)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv_pwl = ExpertConv2d(hidden, c2, 1, 1, experts)
        self.bn3 = nn.BatchNorm2d(c2)
        self.routing_fn = nn.Linear(c1, experts)
        self.act = act()
        self.residual = c1 == c2 and s == 1

    def forward(self, x: Tensor) -> Tensor:
        routing = self.routing_fn(x.mean((2, 3))).sigmoid()
        y = x if traced() else x.contiguous()  # in which images are groups; not there and back for each of the three
        y = normalised(self.bn1, self.conv_pw(y, routing), self.act)
        y = normalised(self.bn2, self.conv_dw(y, routing), self.act)
        y = normalised(self.bn3, self.conv_pwl(y, routing)).contiguous(memory_format=memory_format(x))
        return x + y if self.residual else y

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """timm's unit, whose layers have one `weight` with a row an expert; ours stays as it is."""
        ours: dict[str, Tensor] = {}
        for key, value in state.items():
            layer, found, _ = key.rpartition(".weight")
            if found and layer.startswith("conv_"):
                ours |= {f"{layer}.kernels.{e}": kernel for e, kernel in enumerate(value)}
            else:
                ours[key] = value
        return known("CondConvResidual", ours, r"conv_(pw|dw|pwl)\.kernels\.\d+|bn[123]\.\w+|routing_fn\.(weight|bias)")

    def fold_norms(self) -> None:
        fold_named(self, bn1="conv_pw", bn2="conv_dw", bn3="conv_pwl")
