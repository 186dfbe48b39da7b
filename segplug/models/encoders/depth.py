"""An encoder of fewer scales without the stages behind them: timm would build and compute all of them."""

from collections.abc import Mapping

from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from torch import Tensor, nn

PREFIX = "encoder.model.blocks."


def cut_unused_stages(encoder: nn.Module) -> None:
    """Drop the stages behind the deepest feature map, where the network is one of timm's that keep them as a list."""
    if isinstance(encoder, TimmUniversalEncoder) and isinstance(
        encoder.model, (EfficientNetFeatures, MobileNetV3Features)
    ):
        encoder.model.blocks = encoder.model.blocks[: max(encoder.model._stage_out_idx)]


def without_cut_stages(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a checkpoint less those of stages that `cut_unused_stages` drops: older files hold them too."""
    kept = {name.removeprefix(PREFIX).split(".")[0] for name in model.state_dict() if name.startswith(PREFIX)}
    return {
        name: tensor
        for name, tensor in weights.items()
        if not kept or not name.startswith(PREFIX) or name.removeprefix(PREFIX).split(".")[0] in kept
    }
