"""Augmentations as a list of albumentations transforms by name, from YAML.

- D4                                        # bare name: its defaults
- RandomBrightnessContrast: {brightness_limit: 0.2, p: 0.5}
- OneOf: {p: 0.2, transforms: [GaussianBlur, {GaussNoise: {std_range: [0.01, 0.04]}}]}
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
from albumentations.augmentations.crops.transforms import CropSizeError

from segplug.data.labels import NO_LABEL
from segplug.errors import SegplugError, one_line, unknown_name
from segplug.yaml_file import read_yaml

# Photometric changes stay mild: a thin crack is only a few grey levels deep.
DEFAULT: list[Any] = [
    "D4",
    {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
    {"HueSaturationValue": {"hue_shift_limit": 10, "sat_shift_limit": 20, "val_shift_limit": 0, "p": 0.3}},
    {
        "OneOf": {
            "transforms": [{"GaussNoise": {"std_range": [0.01, 0.04]}}, {"GaussianBlur": {"blur_limit": [3, 3]}}],
            "p": 0.15,
        }
    },
]
TRIALS = 4

KNOWN = {
    name: value
    for name, value in vars(A).items()
    if isinstance(value, type)
    and issubclass(value, (A.BasicTransform, A.BaseCompose))
    and name not in {"BasicTransform", "DualTransform", "ImageOnlyTransform", "BaseCompose", "Compose"}
}


def read_augment(path: Path) -> list[Any]:
    """The list in a YAML or JSON file, built and tried once. Raises SegplugError that names the file."""
    items = read_yaml(path)
    if not isinstance(items, list):
        raise SegplugError(f"{path}: must be a list of transforms (- HorizontalFlip: {{p: 0.5}})")
    try:
        build_transforms(items, 64)
    except SegplugError as error:
        raise SegplugError(f"{path}: {error}") from error
    return items


def build_transforms(items: Sequence[Any], size: int) -> list[A.BasicTransform | A.BaseCompose]:
    """One albumentations transform an item. Photo and mask are changed alike.

    Raises SegplugError on an unknown transform or argument, and on one that does not give back a (size, size, 3) uint8
    photo and a mask of 0, 1 and 255 (no label) when tried on such a crop.
    """
    transforms = [_build(item) for item in items]
    for item, transform in zip(items, transforms, strict=True):
        _try(item, transform, size)
    return transforms


def _build(item: Any) -> A.BasicTransform | A.BaseCompose:
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, Mapping) or len(item) != 1:
        raise SegplugError(
            f"a transform is a name, or a name with its arguments (HorizontalFlip: {{p: 0.5}}); got {item!r}"
        )
    (name, arguments), *_ = item.items()
    if name not in KNOWN:
        raise unknown_name("transform", str(name), KNOWN)
    if not isinstance(arguments, Mapping):
        raise SegplugError(f"{name}: its arguments must stand by name ({{p: 0.5}}), got {arguments!r}")
    settings = dict(arguments)
    if issubclass(KNOWN[name], A.BaseCompose):
        inner = settings.get("transforms")
        if not isinstance(inner, list) or not inner:
            raise SegplugError(f"{name}: needs `transforms`, a list of at least one")
        settings["transforms"] = [_build(part) for part in inner]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an argument that albumentations would ignore
            return KNOWN[name](**settings)
    except (TypeError, ValueError, Warning) as error:
        raise SegplugError(f"{name}: {one_line(error)}") from error


def _try(item: Any, transform: A.BasicTransform | A.BaseCompose, size: int) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    mask = np.eye(size, dtype=np.uint8)
    for seed in range(TRIALS):
        try:
            out = A.Compose([transform], seed=seed)(image=photo, mask=mask)
        except (TypeError, ValueError, KeyError, CropSizeError) as error:
            raise SegplugError(f"{item!r} fails on a {size} x {size} crop: {one_line(error)}") from error
        if out["image"].shape != photo.shape or out["mask"].shape != mask.shape:
            raise SegplugError(
                f"{item!r} changes the crop's size to {out['image'].shape[:2]}; the crop is set by `crop`"
            )
        if (
            out["image"].dtype != np.uint8
            or out["mask"].dtype != np.uint8
            or set(np.unique(out["mask"])) - {0, 1, NO_LABEL}
        ):
            raise SegplugError(
                f"{item!r} does not keep 8-bit photos and masks of 0, 1 and 255; segplug normalises by itself"
            )
