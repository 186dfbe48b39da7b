"""Decoders: features of an smp encoder in, one map for the segmentation head out."""

from segplug.models.decoders.blocks import decoder_block
from segplug.models.decoders.gbc import GBCDecoder, Upsample, resize

__all__ = ["GBCDecoder", "Upsample", "decoder_block", "resize"]
