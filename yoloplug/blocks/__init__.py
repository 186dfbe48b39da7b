"""The papers' operations in pure torch. Knows nothing of Ultralytics. Importing this package fills the registry."""

from yoloplug.blocks.ac_block import ACBlock
from yoloplug.blocks.atrous_conv import AtrousConv
from yoloplug.blocks.bott_conv import BottConv
from yoloplug.blocks.cond_conv import CondConv
from yoloplug.blocks.cond_conv_residual import CondConvResidual
from yoloplug.blocks.cond_param_conv import CondParamConv
from yoloplug.blocks.dbb import DBB
from yoloplug.blocks.dcn_v1 import DCNv1
from yoloplug.blocks.dcn_v2 import DCNv2
from yoloplug.blocks.dcn_v3 import DCNv3
from yoloplug.blocks.dcn_v4 import DCNv4
from yoloplug.blocks.ddf import DDF, DDFUp
from yoloplug.blocks.do_conv import DOConv
from yoloplug.blocks.dynamic_conv import DynamicConv
from yoloplug.blocks.dynamic_filter import DynamicFilter, DynamicFilterLayer
from yoloplug.blocks.gated_conv import GatedConv
from yoloplug.blocks.gbc import GBC
from yoloplug.blocks.ghost_module import GhostModule
from yoloplug.blocks.ghost_unit import GhostUnit
from yoloplug.blocks.gn_conv import gnConv
from yoloplug.blocks.graph_conv import GraphConv
from yoloplug.blocks.group_shuffle_conv import GroupShuffleConv
from yoloplug.blocks.hdc import HDC
from yoloplug.blocks.het_conv import HetConv
from yoloplug.blocks.hor_block import HorBlock
from yoloplug.blocks.hor_downsample import HorDownsample
from yoloplug.blocks.hor_stem import HorStem
from yoloplug.blocks.hs_block import HSBlock
from yoloplug.blocks.inception_v1 import InceptionV1
from yoloplug.blocks.inception_v2 import InceptionV2
from yoloplug.blocks.inception_v3 import InceptionV3
from yoloplug.blocks.inception_v4 import InceptionV4
from yoloplug.blocks.involution import Involution
from yoloplug.blocks.octave_conv import OctaveConv, OctaveConvNormAct, OctavePair
from yoloplug.blocks.od_conv import ODConv
from yoloplug.blocks.partial_conv import PartialConv
from yoloplug.blocks.parts.deformable.deform_conv2d import deform_conv2d
from yoloplug.blocks.parts.experts.annealing import anneal_temperature
from yoloplug.blocks.parts.experts.expert_conv import ExpertConv2d
from yoloplug.blocks.parts.filters.global_local_filter import GlobalLocalFilter
from yoloplug.blocks.parts.filters.local_filter import local_filter
from yoloplug.blocks.parts.norms.group_batch_norm_2d import GroupBatchnorm2d
from yoloplug.blocks.parts.norms.group_norm import GroupNorm
from yoloplug.blocks.parts.norms.layer_norm_2d import LayerNorm2d
from yoloplug.blocks.parts.watch import watched, watching
from yoloplug.blocks.pointwise_conv import PointwiseConv
from yoloplug.blocks.rep_vgg_block import RepVGGBlock, RepVGGSEBlock
from yoloplug.blocks.res2net_bottleneck import Res2NetBottleneck
from yoloplug.blocks.res_nest_bottleneck import ResNeStBottleneck
from yoloplug.blocks.sc_conv import CRU, SRU, SCConv
from yoloplug.blocks.self_cal_bottleneck import SelfCalBottleneck
from yoloplug.blocks.self_cal_conv import SelfCalConv
from yoloplug.blocks.separable_conv import SeparableConv
from yoloplug.blocks.shuffle_unit import ShuffleUnit
from yoloplug.blocks.shuffle_v2_unit import ShuffleV2Unit
from yoloplug.blocks.spatial_sep_conv import SpatialSepConv
from yoloplug.blocks.split_attention import SplitAttention
from yoloplug.blocks.transposed_conv import TransposedConv
from yoloplug.blocks.xception_block import XceptionBlock

__all__ = [
    "CRU",
    "DBB",
    "DDF",
    "GBC",
    "HDC",
    "SRU",
    "ACBlock",
    "AtrousConv",
    "BottConv",
    "CondConv",
    "CondConvResidual",
    "CondParamConv",
    "DCNv1",
    "DCNv2",
    "DCNv3",
    "DCNv4",
    "DDFUp",
    "DOConv",
    "DynamicConv",
    "DynamicFilter",
    "DynamicFilterLayer",
    "ExpertConv2d",
    "GatedConv",
    "GhostModule",
    "GhostUnit",
    "GlobalLocalFilter",
    "GraphConv",
    "GroupBatchnorm2d",
    "GroupNorm",
    "GroupShuffleConv",
    "HSBlock",
    "HetConv",
    "HorBlock",
    "HorDownsample",
    "HorStem",
    "InceptionV1",
    "InceptionV2",
    "InceptionV3",
    "InceptionV4",
    "Involution",
    "LayerNorm2d",
    "ODConv",
    "OctaveConv",
    "OctaveConvNormAct",
    "OctavePair",
    "PartialConv",
    "PointwiseConv",
    "RepVGGBlock",
    "RepVGGSEBlock",
    "Res2NetBottleneck",
    "ResNeStBottleneck",
    "SCConv",
    "SelfCalBottleneck",
    "SelfCalConv",
    "SeparableConv",
    "ShuffleUnit",
    "ShuffleV2Unit",
    "SpatialSepConv",
    "SplitAttention",
    "TransposedConv",
    "XceptionBlock",
    "anneal_temperature",
    "deform_conv2d",
    "gnConv",
    "local_filter",
    "watched",
    "watching",
]
