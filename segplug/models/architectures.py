"""The networks and encoders by name, told without importing torch: `segplug models` prints them at once."""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """paper: arXiv number or DOI. parameters: millions on the default encoder. encoder: None for a backbone of its own.

    multiple_px: H and W are padded to a multiple of it; 0: of the encoder's output stride. options: arguments that
    `create_model` gives unless told otherwise.
    """

    paper: str
    parameters: float
    encoder: str | None = "tu-mobilenetv3_large_100"
    multiple_px: int = 0
    options: dict[str, Any] = field(default_factory=dict)


ARCHITECTURES: dict[str, Architecture] = {
    "gbcnet": Architecture("arXiv:2503.01113", 3.86),
    "scsegamba": Architecture("arXiv:2503.01113", 3.05, None),
    "unet": Architecture("arXiv:1505.04597", 6.69),
    "unetplusplus": Architecture("arXiv:1807.10165", 6.92),
    "manet": Architecture("doi:10.1109/ACCESS.2020.3025372", 30.32),
    "linknet": Architecture("arXiv:1707.03718", 4.17),
    "fpn": Architecture("arXiv:1901.02446", 4.89),
    "pspnet": Architecture("arXiv:1612.01105", 3.02),
    "deeplabv3": Architecture("arXiv:1706.05587", 11.02),
    "deeplabv3plus": Architecture("arXiv:1802.02611", 4.71),
    # It halves a map of stride 16 three times.
    "pan": Architecture("arXiv:1805.10180", 3.14, multiple_px=128),
    "upernet": Architecture("arXiv:1807.10221", 12.71),
    "segformer": Architecture("arXiv:2105.15203", 3.60),
    # Its encoder is one of timm's vision transformers.
    "dpt": Architecture(
        "arXiv:2103.13413", 34.88, "tu-vit_tiny_patch16_224", multiple_px=32, options={"dynamic_img_size": True}
    ),
}

HORNETS = {
    f"hornet_{size}{'_gf' * global_filter}": (width, global_filter)
    for size, width in (("tiny", 64), ("small", 96), ("base", 128))
    for global_filter in (False, True)
}
"""Name -> channels at stride 4, and whether with global filters."""


def installed_encoders() -> list[str]:
    """The names of `segplug.models.create.encoder_names`, read in the sources of the installed smp and timm."""
    own = {name for text in _sources("segmentation_models_pytorch", "encoders") for name in _OF_SMP.findall(text)}
    timm = {name for text in _sources("timm", "models") for name in _OF_TIMM.findall(text)}
    return [*sorted({*own, *HORNETS}), *(f"tu-{name}" for name in sorted(timm, key=_natural))]


_OF_SMP = re.compile(r'^    "([\w.-]+)": \{', re.MULTILINE)
_OF_TIMM = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)", re.MULTILINE)


def _sources(package: str, folder: str) -> list[str]:
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    files = Path(spec.submodule_search_locations[0], folder).glob("*.py")
    return [file.read_text(encoding="utf-8") for file in files]


def _natural(name: str) -> list[Any]:
    """resnet9 before resnet10, as timm lists them."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]
