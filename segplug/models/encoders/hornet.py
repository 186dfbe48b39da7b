"""HorNet as an smp encoder: recursive gated convolutions (gnConv) at strides 4 to 32.

Paper: Rao et al. 2022, https://arxiv.org/abs/2207.14284, section 3.2. State as the reference's `downsample_layers` and
`stages`: its classification weights load (`--encoder-weights hornet_tiny_7x7.pth`), their head left out.
Departs: as its blocks HorStem and HorDownsample; no norm behind a stage, like timm's encoders (the reference's
segmentation models have one, but each of our decoders normalises what it takes).
"""

from collections.abc import Sequence
from typing import Any

import torch
from segmentation_models_pytorch.encoders._base import EncoderMixin
from torch import Tensor, nn

from segplug.models.architectures import HORNETS
from yoloplug.blocks import HorBlock, HorDownsample, HorStem

_DEPTHS = (2, 3, 18, 2)
_ORDERS = (2, 3, 4, 5)
_SPECTRUM: dict[int, dict[str, Any]] = {
    2: {"filter": "global_local", "h": 14, "w": 8},
    3: {"filter": "global_local", "h": 7, "w": 4},
}
"""Stage -> the published global filters, of the size that a 224 px image has there."""


class HorNetEncoder(nn.Module, EncoderMixin):
    """Shape: (N, C, H, W) -> depth + 1 maps at strides 1, 2, 4 … 2^depth; the one at stride 2 has no channels.

    width: channels at stride 4; they double with every further stage. global_filter: the published GF variant, whose
    last two stages see the whole map. depth: 2 to 5; a shallower encoder leaves out the last stages.
    drop_path: chance of leaving out a branch in training, rising from 0 to this value with the block's position.
    Raises ValueError on a depth outside 2 to 5 and, as smp asks for it by name, on an output stride below 32.
    """

    def __init__(
        self,
        out_channels: Sequence[int],
        width: int,
        global_filter: bool = False,
        depth: int = 5,
        output_stride: int = 32,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        if not 2 <= depth <= 5:
            raise ValueError(f"HorNet's depth must be 2 to 5, got {depth}: its first map is at stride 4")
        self._depth, self._in_channels, self._output_stride = depth, 3, output_stride
        self._out_channels = list(out_channels)
        widths = [width * 2**stage for stage in range(depth - 1)]
        self.downsample_layers = nn.ModuleList([HorStem(3, width)])
        self.downsample_layers.extend(HorDownsample(c, 2 * c) for c in widths[:-1])
        rates = iter(torch.linspace(0, drop_path, sum(_DEPTHS), device="cpu").tolist())
        self.stages = nn.ModuleList()
        for stage, (c, order) in enumerate(zip(widths, _ORDERS, strict=False)):
            spectrum = _SPECTRUM.get(stage, {}) if global_filter else {}
            blocks = [HorBlock(c, order, drop_path=next(rates), **spectrum) for _ in range(_DEPTHS[stage])]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        n, _, h, w = x.shape
        features = [x, x.new_empty(n, 0, h // 2, w // 2)]
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
            features.append(x)
        return features

    def make_dilated(self, output_stride: int) -> None:
        raise ValueError(f"HorNet has no dilated form for output stride {output_stride}; choose another architecture")


def _row(width: int, global_filter: bool) -> dict[str, Any]:
    channels = [3, 0, width, 2 * width, 4 * width, 8 * width]
    params = {"out_channels": channels, "width": width, "global_filter": global_filter}
    return {"encoder": HorNetEncoder, "pretrained_settings": {}, "params": params}


hornet_encoders = {name: _row(*settings) for name, settings in HORNETS.items()}
