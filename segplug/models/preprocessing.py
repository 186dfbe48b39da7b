"""What an encoder's pretrained weights expect of pixels: subtracted mean and divisor of RGB scaled to 0 … 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from segmentation_models_pytorch.encoders import get_preprocessing_params
from torch import nn

from segplug.errors import SegplugError


@dataclass(frozen=True)
class Preprocessing:
    """mean and std: three numbers each, R, G, B."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @staticmethod
    def of(saved: Mapping[str, Sequence[float]]) -> Preprocessing:
        """Undo `plain`. Raises KeyError, TypeError or ValueError on anything else."""
        mean, std = (tuple(map(float, saved[key])) for key in ("mean", "std"))
        if not len(mean) == len(std) == 3 or not all(map(isfinite, mean + std)) or min(std) <= 0:
            raise ValueError(f"mean and std must be three numbers each, std above 0, got {saved}")
        return Preprocessing(mean, std)

    def plain(self) -> dict[str, list[float]]:
        """JSON-able, as checkpoints keep it."""
        return {key: list(values) for key, values in asdict(self).items()}


IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing_of(model: nn.Module) -> Preprocessing:
    """What `create_model` or a checkpoint set; IMAGENET for a network that neither of them made."""
    found: Any = getattr(model, "preprocessing", IMAGENET)
    return found


def preprocessing_of_weights(encoder: str, weights: str) -> Preprocessing:
    """What smp and timm keep of a pretrained set. Raises SegplugError on one that wants anything but RGB in 0 … 1."""
    known = get_preprocessing_params(encoder, weights)
    if known["input_space"] != "RGB" or known["input_range"] != [0, 1]:
        raise SegplugError(
            f"weights {weights!r} of {encoder} want {known['input_space']} in {known['input_range']}; "
            "segplug gives RGB in 0 to 1: choose another pretrained set or leave encoder_weights out"
        )
    return Preprocessing.of(known)
