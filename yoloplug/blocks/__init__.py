"""The papers' operations in pure torch. Knows nothing of Ultralytics. Importing this package fills the registry."""

from yoloplug.blocks.global_local_filter import GlobalLocalFilter
from yoloplug.blocks.gn_conv import gnConv
from yoloplug.blocks.layer_norm_2d import LayerNorm2d

__all__ = ["GlobalLocalFilter", "LayerNorm2d", "gnConv"]
