"""All knowledge of Ultralytics' internals. `patch` is called once, right after `ultralytics.nn.tasks` executed."""

from __future__ import annotations

from types import ModuleType

__all__ = ["patch"]


def patch(module: ModuleType, off: bool = False) -> None:
    """Teach the freshly executed `ultralytics.nn.tasks` our names. Nothing on disk changes. off: explain them only."""
    if off:
        from yoloplug.bridge.patches import disabled

        disabled.patch(module)
        return
    from ultralytics.utils import callbacks, checks, torch_utils

    from yoloplug.bridge import yaml_files
    from yoloplug.bridge.patches import annealing, checkpoints, flops, fusion, keep, load, parse, statistics

    yaml_files.patch(checks)
    parse.patch(module)
    fusion.patch(module)
    statistics.patch(module)
    checkpoints.patch(module)
    load.patch(module)
    flops.patch(torch_utils)
    annealing.patch(callbacks)
    keep.patch(callbacks)
