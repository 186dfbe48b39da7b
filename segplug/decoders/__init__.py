"""Decoders: features of an smp encoder in, one map for the segmentation head out."""

from segplug.decoders.gbc import GBCDecoder

__all__ = ["GBCDecoder"]
