"""Read the settings of a training run from YAML or JSON."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from segplug.errors import SegplugError, unknown_name
from segplug.settings import typed
from segplug.training.config import TrainConfig

__all__ = ["read_settings", "read_yaml"]


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


def read_yaml(path: Path) -> Any:
    """The plain contents of a YAML or JSON file."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError as error:
        raise SegplugError(f"{path}: no such file") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no text, broken JSON
        raise SegplugError(f"{path}: not readable as YAML or JSON: {' '.join(str(error).split())}") from error
