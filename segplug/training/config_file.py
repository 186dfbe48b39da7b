"""Read the settings of a training run from YAML or JSON."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from segplug.settings import SettingError, typed
from segplug.training.config import TrainConfig
from segplug.yaml_file import read_document
from yoloplug.names import choices

__all__ = ["read_settings"]


def read_settings(path: Path) -> dict[str, Any]:
    """The TrainConfig fields that the file sets. Paths in it are relative to the working folder, as on a command line.

    Raises SegplugError on an unreadable file, an unknown key (the nearest one named), a value of the wrong type.
    """
    document = read_document(path)
    settings, known = document.value, [f.name for f in fields(TrainConfig)]
    if not isinstance(settings, dict):
        raise SettingError(f"must hold settings by name (epochs: 50), got {type(settings).__name__}", (), path)
    for key in settings:
        if key not in known:
            raise SettingError(f"is no setting{choices(key, known)}", (key,), path, document.line((key,)))
    hints = get_type_hints(TrainConfig)
    try:
        return {key: typed(key, value, hints[key]) for key, value in settings.items()}
    except SettingError as error:
        raise SettingError(error.problem, error.key, path, document.line(error.key)) from error
