"""CondConv: conditionally parameterised convolution, a kernel mixed from experts for each image.

Paper: Yang et al. 2019, https://arxiv.org/abs/1904.04971, section 3. Keys as timm's `CondConv2d` and `routing_fn`.
Mathematics: r = sigmoid(R * GAP(x) + b) in (0, 1)^E;  y = (r_1 W_1 + ... + r_E W_E) * x, one convolution an image.
Use it when capacity may grow but multiply-adds may not: E times the weights. On one CPU thread at batch 1 it takes the
time of a plain convolution on 80x80 maps and 1.5 times that on 20x20, where mixing weighs. Larger batches run as one
convolution of N groups, for which GPU kernels are poor (not measured here); small data sets overfit E kernels.
Departs: the published networks share one router in a residual unit: that is CondConvResidual. No dropout on r.
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.experts.expert_conv import Bias, Experts, Padding
from yoloplug.registry import register

__all__ = ["CondConv"]

_ROUTERS = ("route.fc.", "_routing_fn.fc.", "routing_fn.")


@register(
    "CondConv",
    kind="conv",
    paper="arXiv:1904.04971",
    constraints="k odd, unless padding=same; g divides c1 and c2",
    params="experts * (c1 * c2 * k**2 // g + c2 * bias + c1 + 1)",
    macs="P * c1 * c2 * k**2 // g + experts * (c1 * c2 * k**2 // g + c2 * bias + c1)",
)
class CondConv(Experts):
    """Convolution with a kernel mixed for each image from experts, by a sigmoid router on the pooled input.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd with symmetric padding.
    experts: kernels to mix. bias: False, True (one an expert, mixed) or "shared". padding: symmetric, or same as in
    TensorFlow. In Python, `routing` (N, experts) replaces the own router's weights.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        experts: int = 4,
        g: int = 1,
        d: int = 1,
        bias: Bias = False,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__(c1, c2, k, s, experts, g, d, bias, padding)
        self.routing_fn = nn.Linear(c1, experts)

    def forward(self, x: Tensor, routing: Tensor | None = None) -> Tensor:
        return self.mixed(x, self.routing_fn(x.mean((2, 3))).sigmoid() if routing is None else routing)

    @classmethod
    def convert_reference(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of timm, d-li14/condconv.pytorch (router `route`, layer `conv`) and nibuiro/CondConv-pytorch.

        The last one's single bias is not mixed: build the block with bias="shared".
        """
        converted = {}
        for key, value in state.items():
            router = next((prefix for prefix in _ROUTERS if key.startswith(prefix)), None)
            name = "routing_fn." + key.removeprefix(router) if router else key.removeprefix("conv.")
            converted["shared_bias" if name == "bias" and value.dim() == 1 else name] = value
        return super().convert_reference(converted)
