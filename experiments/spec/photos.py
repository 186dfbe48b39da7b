"""Which evaluation images are crops of one photo: by a rule on their names, or by a CSV list, as segplug's splits."""

import re
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import SpecError
from segplug.data.groups import read_groups
from segplug.data.images.listing import IMAGE_SUFFIXES


def photos_by_rule(rule: str, names: Sequence[str]) -> dict[str, str]:
    """Image -> its photo: what the rule's first group matches from the start of the name, its suffix left out.

    DeepCrack: `(.+?)(?:-\\d+)?$`. An image that the rule does not match is a photo of its own.
    """
    pattern = re.compile(rule)
    matches = {name: pattern.match(_stem(name)) for name in names}
    return {name: match[1 if match.re.groups else 0] if match else name for name, match in matches.items()}


def photos_by_list(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Image -> its photo. Raises SpecError when the list lacks an image, SegplugError when it cannot be read."""
    listed = {_stem(name): group for name, group in read_groups(path).items()}
    missing = [name for name in names if _stem(name) not in listed]
    if missing:
        raise SpecError(f"{path} names no group of {missing[0]} ({len(missing)} of {len(names)} images); add it")
    return {name: listed[_stem(name)] for name in names}


def _stem(name: str) -> str:
    """Detection data names files, segmentation data names images."""
    path = Path(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name
