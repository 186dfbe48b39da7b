"""All knowledge of Ultralytics' internals. `patch` is called once, right after `ultralytics.nn.tasks` executed."""

from __future__ import annotations

from types import ModuleType

__all__ = ["patch"]


def patch(module: ModuleType) -> None:
    """Teach the freshly executed `ultralytics.nn.tasks` our names. Nothing on disk changes."""
    from ultralytics.utils import callbacks, checks, torch_utils

    from yoloplug.bridge import yaml_files
    from yoloplug.bridge.patches import annealing, checkpoints, flops, fusion, parse, statistics

    yaml_files.patch(checks)
    parse.patch(module)
    fusion.patch(module)
    statistics.patch(module)
    checkpoints.patch(module)
    flops.patch(torch_utils)
    annealing.patch(callbacks)
