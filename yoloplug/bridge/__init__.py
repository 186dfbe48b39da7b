"""All knowledge of Ultralytics' internals. `patch` is called once for each watched module, right after it executed."""

from __future__ import annotations

from types import ModuleType

__all__ = ["patch"]


def patch(module: ModuleType) -> None:
    """Teach one freshly executed Ultralytics module our block names. Nothing on disk changes."""
    if module.__name__ == "ultralytics.nn.tasks":
        from ultralytics.utils import checks

        from yoloplug.bridge import checkpoints, fusion, parse, yaml_files

        yaml_files.patch(checks)
        parse.patch(module)
        fusion.patch(module)
        checkpoints.patch(module)
    elif module.__name__ == "ultralytics.engine.exporter":
        from yoloplug.bridge import export

        export.patch(module)
