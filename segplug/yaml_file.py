"""YAML and JSON files as plain values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from segplug.errors import SegplugError

__all__ = ["read_yaml"]


def read_yaml(path: Path) -> Any:
    """The plain contents of a YAML or JSON file."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError as error:
        raise SegplugError(f"{path}: no such file") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no text, broken JSON
        raise SegplugError(f"{path}: not readable as YAML or JSON: {' '.join(str(error).split())}") from error
