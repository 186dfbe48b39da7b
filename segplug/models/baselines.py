"""smp's architectures for images of any size: each pads inside to what its encoder divides by, and crops back."""

from typing import Any, ClassVar

import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base import SegmentationModel
from torch import Tensor

from segplug.models.architectures import ARCHITECTURES
from segplug.models.padding import crop_to, pad_to_multiple


class AnySize(SegmentationModel):
    """An smp model before whose forward the image is padded (mirrored) at the bottom and right.

    Shape: (N, in_channels, H, W) of any H, W -> logits (N, classes, H, W).
    """

    requires_divisible_input_shape = False
    multiple_px: ClassVar[int] = 0
    """H and W are padded to a multiple of it; 0: of the encoder's output stride."""

    def forward(self, x: Tensor) -> Any:
        h, w = x.shape[-2:]
        padded = pad_to_multiple(x, self.multiple_px or self.encoder.output_stride)
        return crop_to(super().forward(padded), h, w)


BASELINES: dict[str, type[AnySize]] = {
    name: type(cls.__name__, (AnySize, cls), {"multiple_px": ARCHITECTURES[name].multiple_px})
    for name, cls in smp.MODEL_ARCHITECTURES_MAPPING.items()
    if name in ARCHITECTURES and name != "gbcnet"  # which `register_with_smp` may have added
}
"""smp's class of each name that ARCHITECTURES knows, for images of any size."""
