"""LayerNorm over the channels of each pixel, as the ConvNeXt and HorNet families use it.

Paper: Ba et al. 2016, https://arxiv.org/abs/1607.06450; over channels of a map: Liu et al. 2022, arXiv:2201.03545.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one


class LayerNorm2d(nn.LayerNorm):
    """Normalise every pixel's channel vector, then scale and shift each channel.

    Shape: (N, c, H, W) -> same. Keys `weight`, `bias` as nn.LayerNorm.
    """

    def __init__(self, c: int, eps: float = 1e-6) -> None:
        at_least_one("LayerNorm2d", c=c)
        super().__init__(c, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
