"""Read the settings of a training run from YAML or JSON."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from segplug.errors import SegplugError, unknown_name
from segplug.settings import typed
from segplug.training.config import TrainConfig
from segplug.yaml_file import read_yaml

__all__ = ["read_settings"]


def read_settings(path: Path) -> dict[str, Any]:
    """The TrainConfig fields that the file sets. Paths in it are relative to the working folder, as on a command line.

    Raises SegplugError on an unreadable file, an unknown key (the nearest one named), a value of the wrong type.
    """
    settings = read_yaml(path)
    if not isinstance(settings, dict):
        raise SegplugError(f"{path}: must hold settings by name (epochs: 50), got {type(settings).__name__}")
    known = [f.name for f in fields(TrainConfig)]
    hints = get_type_hints(TrainConfig)
    for key in settings:
        if key not in known:
            raise SegplugError(f"{path}: {unknown_name('setting', str(key), known, limit=len(known))}")
    try:
        return {key: typed(key, value, hints[key]) for key, value in settings.items()}
    except SegplugError as error:
        raise SegplugError(f"{path}: {error}") from error
