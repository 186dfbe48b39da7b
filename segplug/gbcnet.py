"""GBCNet: any smp encoder with a GBC decoder, as an smp model (same arguments, save_pretrained, freeze_encoder …)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segmentation_models_pytorch.base import SegmentationModel
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

from segplug.decoders import GBCDecoder
from segplug.errors import SegplugError
from segplug.padding import crop_to, pad_to_multiple
from yoloplug.blocks.gbc import Gate

__all__ = ["GBCNet"]


class GBCNet(SegmentationModel):
    """Crack segmentation network. Shape: (N, in_channels, H, W) of any H, W -> logits (N, classes, H, W).

    encoder_name: smp encoder or "tu-" + timm name; encoder_depth 3 to 5 (deepest stride 8 to 32).
    decoder_channels: widths at strides 32, 16, 8, 4; a shallower encoder uses the last ones.
    gate: "product" is the paper's GBC, "sigmoid" bounds its second branch. zero_init: every GBC starts as identity.
    """

    requires_divisible_input_shape = False

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = "resnet34",
        encoder_depth: int = 5,
        encoder_weights: str | None = "imagenet",
        in_channels: int = 3,
        classes: int = 1,
        decoder_channels: Sequence[int] = (256, 128, 96, 64),
        detail_channels: int = 32,
        blocks: int = 1,
        gate: Gate = "product",
        zero_init: bool = False,
        **encoder_options: Any,
    ) -> None:
        super().__init__()
        if not 3 <= encoder_depth <= 5:
            raise SegplugError(f"encoder_depth must be 3, 4 or 5, got {encoder_depth}")
        self.encoder = get_encoder(
            encoder_name, in_channels=in_channels, depth=encoder_depth, weights=encoder_weights, **encoder_options
        )
        self.decoder = GBCDecoder(
            self.encoder.out_channels,
            tuple(decoder_channels)[1 - encoder_depth :],
            detail_channels=detail_channels,
            blocks=blocks,
            gate=gate,
            zero_init=zero_init,
        )
        self.segmentation_head = nn.Sequential(
            nn.Conv2d(detail_channels, 4 * classes, 3, padding=1), nn.PixelShuffle(2)
        )
        self.classification_head = None
        self.name = f"gbcnet-{encoder_name}"
        self.initialize()
        # save_pretrained would write it, and loading would download weights only to overwrite them.
        self.config["encoder_weights"] = None

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        return crop_to(super().forward(pad_to_multiple(x, self.encoder.output_stride)), h, w)
