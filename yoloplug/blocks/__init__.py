"""The papers' operations in pure torch. Knows nothing of Ultralytics. Importing this package fills the registry."""

from yoloplug.blocks.bott_conv import BottConv
from yoloplug.blocks.dcn_v1 import DCNv1
from yoloplug.blocks.dcn_v2 import DCNv2
from yoloplug.blocks.dcn_v3 import DCNv3
from yoloplug.blocks.deform_op import deform_conv2d
from yoloplug.blocks.gbc import GBC
from yoloplug.blocks.global_local_filter import GlobalLocalFilter
from yoloplug.blocks.gn_conv import gnConv
from yoloplug.blocks.group_batch_norm_2d import GroupBatchnorm2d
from yoloplug.blocks.group_norm import GroupNorm
from yoloplug.blocks.layer_norm_2d import LayerNorm2d
from yoloplug.blocks.sc_conv import CRU, SRU, SCConv

__all__ = [
    "CRU",
    "GBC",
    "SRU",
    "BottConv",
    "DCNv1",
    "DCNv2",
    "DCNv3",
    "GlobalLocalFilter",
    "GroupBatchnorm2d",
    "GroupNorm",
    "LayerNorm2d",
    "SCConv",
    "deform_conv2d",
    "gnConv",
]
