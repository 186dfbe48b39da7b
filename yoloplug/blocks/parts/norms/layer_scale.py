"""LayerScale: one learned factor per channel, the gain of a norm without the norm.

Paper: Touvron et al. 2021 (CaiT), https://arxiv.org/abs/2103.17239, section 2; `gamma` in ConvNeXt and HorNet.
"""

from torch import Tensor, nn


class LayerScale(nn.LayerNorm):
    """x times `weight`, per channel.

    An nn.LayerNorm by type only: trainers spare the gains of norms weight decay (Ultralytics by their type), and these
    want it as little. Shape: (N, c, H, W) -> same. start: the factors in the beginning.
    """

    def __init__(self, c: int, start: float) -> None:
        super().__init__(c, bias=False)
        nn.init.constant_(self.weight, start)

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight[:, None, None]
