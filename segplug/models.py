"""Models by name: GBCNet and smp's own architectures, on any smp or timm encoder."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
import timm
from segmentation_models_pytorch.base import SegmentationModel

from segplug.errors import SegplugError, unknown_name
from segplug.gbcnet import GBCNet

__all__ = ["MODELS", "create_model", "encoder_names", "parameters", "register_with_smp"]

MODELS: dict[str, type[SegmentationModel]] = {"gbcnet": GBCNet, **smp.MODEL_ARCHITECTURES_MAPPING}


def create_model(
    name: str,
    encoder: str = "tu-mobilenetv3_large_100",
    encoder_weights: str | None = None,
    in_channels: int = 3,
    classes: int = 1,
    **options: Any,
) -> SegmentationModel:
    """Build a model that maps (N, in_channels, H, W) to logits (N, classes, H, W).

    name: "gbcnet" or an smp architecture ("unet", "segformer", …), case ignored. encoder_weights: None or a pretrained
    set such as "imagenet" (downloads). options go to the architecture. Raises SegplugError on an unknown name, option.
    """
    if name.lower() not in MODELS:
        raise unknown_name("model", name, MODELS)
    _check_encoder(encoder)
    weights = True if encoder.startswith("tu-") and encoder_weights else encoder_weights
    try:
        return MODELS[name.lower()](
            encoder_name=encoder, encoder_weights=weights, in_channels=in_channels, classes=classes, **options
        )
    except (
        TypeError,
        ValueError,
        KeyError,
        RuntimeError,
        OSError,
    ) as error:  # the last two: no such weights, no network
        reason = " ".join(str(error).split())
        raise SegplugError(
            f"cannot build {name} on {encoder} with weights {encoder_weights!r} and {options}: {reason}"
        ) from error


def parameters(model: SegmentationModel) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def register_with_smp() -> None:
    """Let `smp.create_model("GBCNet", …)` and `smp.from_pretrained` know GBCNet. Safe to call twice.

    Raises SegplugError when smp already has another class of that name.
    """
    if getattr(smp, "GBCNet", GBCNet) is not GBCNet:
        raise SegplugError("segmentation_models_pytorch already has another GBCNet; use segplug.models.create_model")
    smp.GBCNet = GBCNet
    smp.MODEL_ARCHITECTURES_MAPPING["gbcnet"] = GBCNet


def encoder_names() -> list[str]:
    """smp's own encoders, then every timm model with the "tu-" prefix (a few of those give no feature maps)."""
    return [*smp.encoders.get_encoder_names(), *(f"tu-{name}" for name in timm.list_models())]


def _check_encoder(encoder: str) -> None:
    # A timm name may carry a pretrained tag after a dot.
    name = encoder.split(".")[0] if encoder.startswith("tu-") else encoder
    if name not in encoder_names():
        raise unknown_name("encoder", encoder, encoder_names())
