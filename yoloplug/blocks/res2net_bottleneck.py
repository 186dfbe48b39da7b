"""Res2NetBottleneck: residual unit whose 3x3 convolutions form a ladder over groups of channels.

Paper: Gao et al. 2021 (Res2Net), https://arxiv.org/abs/1904.01169, section 3.1.
Mathematics: x_1 .. x_n = parts of relu(bn(A(x))), n = scale; y_1 = x_1, y_2 = K_2(x_2), y_i = K_i(x_i + y_(i-1)), each
K a 3x3 convolution with BatchNorm and ReLU; y = relu(x + bn(E(cat[y_1 .. y_n]))). A part has c2 * base_width // 256
channels.
The first unit of a stage adds nothing between the parts and averages x_1 over 3x3.
Use it when objects of many sizes share a layer: part i has seen i - 1 convolutions. Cheap in parameters, but the
ladder runs one step after the other, which a GPU fills badly; at YOLO's narrow layers the parts are a few channels.
Departs: the released code passes the last part on and begins the ladder with the first; that is the same function with
its channels in another order, and convert_reference puts published weights into the paper's.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, one_of
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.blocks.parts.residual import middle_width, shortcut
from yoloplug.registry import register

__all__ = ["Res2NetBottleneck"]

Stage = Literal["auto", "normal", "stage"]


@register(
    "Res2NetBottleneck",
    kind="conv",
    paper="arXiv:1904.01169",
    constraints="c2 * base_width >= 256; k odd; stage=normal: s = 1",
    params="(c2*base_width//256)*(scale*(c1 + c2 + 2) + max(1, scale - 1)*(k**2*(c2*base_width//256) + 2)) + 2*c2"
    " + (c1 != c2 or s > 1)*(c1*c2 + 2*c2)",
    macs="(c2*base_width//256)*(H*W*scale*c1 + P*(scale*c2 + max(1, scale - 1)*k**2*(c2*base_width//256)))"
    " + (c1 != c2 or s > 1)*c1*c2*P",
    tail="none",
    place="bottleneck",
)
class Res2NetBottleneck(nn.Module):
    """Bottleneck with a ladder of 3x3 convolutions over `scale` groups of channels, and a shortcut.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    base_width: width of each part in 256ths of c2, rounded down. scale: number of parts; 1 is a ResNet bottleneck.
    stage: "stage" is a stage's first unit, without sums between the parts; "auto": where width or stride change.
    """

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, scale: int = 4, base_width: int = 26, stage: Stage = "auto"
    ) -> None:
        super().__init__()
        at_least_one("Res2NetBottleneck", c1=c1, c2=c2, s=s, scale=scale)
        one_of("Res2NetBottleneck", get_args(Stage), stage=stage)
        if stage == "normal" and s != 1:
            raise ValueError(f"Res2NetBottleneck: stage='normal' sums parts of one size; use 'stage' or s=1, got s={s}")
        width = middle_width("Res2NetBottleneck", c2, base_width=base_width)
        begins = stage == "stage" or (stage == "auto" and (c1 != c2 or s != 1))
        self.width, self.scale, self.sums = width, scale, not begins
        self.conv1 = nn.Conv2d(c1, width * scale, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width * scale)
        steps = range(max(1, scale - 1))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, k, s, autopad(k), bias=False) for _ in steps)
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in steps)
        self.passed = nn.AvgPool2d(3, s, 1) if begins else nn.Identity()
        self.conv3 = nn.Conv2d(width * scale, c2, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c2)
        self.downsample = shortcut(c1, c2, s)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(normalised(self.bn1, self.conv1(x), "relu").split(self.width, dim=1))
        seen = [self.passed(parts.pop(0))] if self.scale > 1 else []
        for step, (part, conv, bn) in enumerate(zip(parts, self.convs, self.bns, strict=True)):
            seen.append(normalised(bn, conv(part + seen[-1] if step and self.sums else part), "relu"))
        return (normalised(self.bn3, self.conv3(torch.cat(seen, dim=1))) + self.downsample(x)).relu()

    def fold_norms(self) -> None:
        fold_named(self, bn1="conv1", bn3="conv3", **{f"bns.{i}": f"convs.{i}" for i in range(len(self.bns))})

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """One unit of the released Res2Net: its last part, which passes, comes first, around both 1x1 convolutions."""
        layers = r"(conv[13]|convs\.\d+)\.weight|bn[13]\.\w+|bns\.\d+\.\w+|downsample\.\d+\.\w+"
        state_dict = known("Res2NetBottleneck", state_dict, layers)
        width = len(state_dict["convs.0.weight"])
        wide = ("conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var")
        return state_dict | {
            **{key: state_dict[key].roll(width, 0) for key in wide},
            "conv3.weight": state_dict["conv3.weight"].roll(width, 1),
        }
