"""GBCNet: any smp encoder with a GBC decoder, as an smp model (same arguments, save_pretrained, freeze_encoder …)."""

from collections.abc import Mapping, Sequence
from typing import Any

from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from segmentation_models_pytorch.base.initialization import initialize_head
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

import segplug.models.encoders  # noqa: F401  (HorNet by name)
from segplug.errors import SegplugError
from segplug.models.baselines import AnySize
from segplug.models.decoders import GBCDecoder, Upsample, decoder_block, resize
from segplug.models.encoders.depth import cut_unused_stages
from segplug.models.padding import crop_to, pad_to_multiple
from yoloplug.blocks.gbc import Gate


class GBCNet(AnySize):
    """Crack segmentation network. Shape: (N, in_channels, H, W) of any H, W -> logits (N, classes, H, W).

    encoder_name: smp encoder or "tu-" + timm name; encoder_depth 3 to 5 (deepest stride 8 to 32).
    decoder_channels: widths at strides 32, 16, 8, 4; a shallower encoder uses the last ones.
    block: any name of yoloplug's catalogue, or "Conv", in GBC's place, with block_options; `blocks` at each stride.
    gate: "product" is the paper's GBC, "sigmoid" bounds its second branch. zero_init: every GBC starts as identity.
    upsample: "bilinear", or "dysample" (learned positions, as in SCSegamba's head).
    deep_supervision: in training, forward returns (logits, and those of the maps at strides 4, 8 …), all at full size,
    for `segplug.losses.deep_supervision`; in eval the same logits as without.
    `save_pretrained(folder)` and `GBCNet.from_pretrained(folder)` keep every argument and need no network.
    """

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
        block: str = "GBC",
        block_options: Mapping[str, Any] | None = None,
        blocks: int = 1,
        gate: Gate = "product",
        zero_init: bool = False,
        upsample: Upsample = "bilinear",
        deep_supervision: bool = False,
        **encoder_options: Any,
    ) -> None:
        super().__init__()
        if not 3 <= encoder_depth <= 5:
            raise SegplugError(f"encoder_depth must be 3, 4 or 5, got {encoder_depth}")
        options = _block_options(block, block_options or {}, gate, zero_init)
        widths = tuple(decoder_channels)[1 - encoder_depth :]
        self.encoder = get_encoder(
            encoder_name, in_channels=in_channels, depth=encoder_depth, weights=encoder_weights, **encoder_options
        )
        cut_unused_stages(self.encoder)
        self.decoder = GBCDecoder(
            self.encoder.out_channels,
            widths,
            lambda c: decoder_block(block, c, options),
            detail_channels=detail_channels,
            blocks=blocks,
            upsample=upsample,
        )
        self.segmentation_head = nn.Sequential(
            nn.Conv2d(detail_channels, 4 * classes, 3, padding=1), nn.PixelShuffle(2)
        )
        self.auxiliary_heads = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in reversed(widths) if deep_supervision)
        self.classification_head = None
        self.name = f"gbcnet-{encoder_name}"
        # Not smp's `initialize`: it would overwrite the start that a block's paper gives it.
        initialize_head(self.segmentation_head)
        initialize_head(self.auxiliary_heads)
        # save_pretrained would write it, and loading would download weights only to overwrite them.
        self.config["encoder_weights"] = None

    def forward(self, x: Tensor) -> Any:
        if not self.training or len(self.auxiliary_heads) == 0:
            return super().forward(x)
        h, w = x.shape[-2:]
        padded = pad_to_multiple(x, self.encoder.output_stride)
        features = self.encoder(padded)
        levels = self.decoder.levels(features)
        maps = [self.segmentation_head(self.decoder.finish(features, levels[-1]))]
        maps += [head(level) for head, level in zip(self.auxiliary_heads, reversed(levels), strict=True)]
        return tuple(crop_to(resize(logits, padded), h, w) for logits in maps)


def _block_options(block: str, options: Mapping[str, Any], gate: Gate, zero_init: bool) -> dict[str, Any]:
    """The block's arguments; those that GBCNet has by name belong to GBC alone."""
    if block == "GBC":
        if clash := {"gate", "zero_init"} & set(options):
            raise SegplugError(f"give {' and '.join(sorted(clash))} as arguments of their own, not as block_options")
        return {**options, "gate": gate, "zero_init": zero_init}
    if gate != "product" or zero_init:
        raise SegplugError(f"gate and zero_init belong to block GBC, but block is {block!r}; use block_options")
    return dict(options)
