"""smp's architectures for images of any size: each pads inside to what its encoder divides by, and crops back."""

from typing import Any, ClassVar

import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base import SegmentationModel
from torch import Tensor

from segplug.models.padding import crop_to, pad_to_multiple

__all__ = ["BASELINES", "LIGHT_ENCODER", "AnySize"]

LIGHT_ENCODER = "tu-mobilenetv3_large_100"


class AnySize(SegmentationModel):
    """An smp model before whose forward the image is padded (mirrored) at the bottom and right.

    Shape: (N, in_channels, H, W) of any H, W -> logits (N, classes, H, W).
    """

    requires_divisible_input_shape = False
    multiple_px: ClassVar[int] = 0
    """H and W are padded to a multiple of it; 0: of the encoder's output stride."""
    paper: ClassVar[str] = ""
    """arXiv number or DOI."""
    default_encoder: ClassVar[str | None] = LIGHT_ENCODER
    """None: the network has a backbone of its own."""
    default_options: ClassVar[dict[str, Any]] = {}
    """Arguments that `create_model` gives unless told otherwise."""

    def forward(self, x: Tensor) -> Any:
        h, w = x.shape[-2:]
        padded = pad_to_multiple(x, self.multiple_px or self.encoder.output_stride)
        return crop_to(super().forward(padded), h, w)


class Unet(AnySize, smp.Unet):
    """Ronneberger et al. 2015."""

    paper = "arXiv:1505.04597"


class UnetPlusPlus(AnySize, smp.UnetPlusPlus):
    """Zhou et al. 2018."""

    paper = "arXiv:1807.10165"


class MAnet(AnySize, smp.MAnet):
    """Fan et al. 2020."""

    paper = "doi:10.1109/ACCESS.2020.3025372"


class Linknet(AnySize, smp.Linknet):
    """Chaurasia & Culurciello 2017."""

    paper = "arXiv:1707.03718"


class FPN(AnySize, smp.FPN):
    """Kirillov et al. 2019."""

    paper = "arXiv:1901.02446"


class PSPNet(AnySize, smp.PSPNet):
    """Zhao et al. 2017."""

    paper = "arXiv:1612.01105"


class DeepLabV3(AnySize, smp.DeepLabV3):
    """Chen et al. 2017."""

    paper = "arXiv:1706.05587"


class DeepLabV3Plus(AnySize, smp.DeepLabV3Plus):
    """Chen et al. 2018."""

    paper = "arXiv:1802.02611"


class PAN(AnySize, smp.PAN):
    """Li et al. 2018; it halves a map of stride 16 three times."""

    paper = "arXiv:1805.10180"
    multiple_px = 128


class UPerNet(AnySize, smp.UPerNet):
    """Xiao et al. 2018."""

    paper = "arXiv:1807.10221"


class Segformer(AnySize, smp.Segformer):
    """Xie et al. 2021."""

    paper = "arXiv:2105.15203"


class DPT(AnySize, smp.DPT):
    """Ranftl et al. 2021; its encoder is one of timm's vision transformers."""

    paper = "arXiv:2103.13413"
    multiple_px = 32
    default_encoder = "tu-vit_tiny_patch16_224"
    default_options: ClassVar[dict[str, Any]] = {"dynamic_img_size": True}


BASELINES: tuple[type[AnySize], ...] = (
    Unet,
    UnetPlusPlus,
    MAnet,
    Linknet,
    FPN,
    PSPNet,
    DeepLabV3,
    DeepLabV3Plus,
    PAN,
    UPerNet,
    Segformer,
    DPT,
)
