"""The model YAMLs that come with yoloplug: where they lie, and how a name with a scale letter finds its file."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["find", "model_yamls"]

_IN_WHEEL = Path(__file__).parent / "model_yamls"
_IN_SOURCE_TREE = Path(__file__).parent.parent / "model_yamls"


def model_yamls() -> dict[str, Path]:
    """File name -> path of every shipped YAML; the names carry no scale letter (`yolov8-C2f_gnConv.yaml`)."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_SOURCE_TREE
    return {path.name: path for path in sorted(folder.glob("*.yaml"))}


def find(name: str) -> str | None:
    """The shipped file behind a bare name such as `yolov8n-C2f_gnConv.yaml` or without the `n`.

    None where the name has a directory, exists in the working directory, or is not ours.
    """
    if not name.endswith(".yaml") or os.path.basename(name) != name or os.path.exists(name):
        return None
    shipped = model_yamls()
    without_scale = re.sub(r"^(yolov?\d+)[nslmx](?=[-.])", r"\1", name)
    path = shipped.get(name) or shipped.get(without_scale)
    return str(path) if path else None
