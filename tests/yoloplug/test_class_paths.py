"""Ultralytics' checkpoints pickle classes by their path: a path once recorded stays importable for good."""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
from torch import nn

import yoloplug.blocks
import yoloplug.preserve
from yoloplug import hosts

RECORDED = Path(__file__).parent / "recorded/class_paths.json"


def present() -> set[str]:
    """Every module class that a model with our blocks may hold: blocks, their parts, hosts."""
    rooms = (yoloplug.blocks, yoloplug.preserve)
    names = [m.name for room in rooms for m in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")]
    modules = [importlib.import_module(name) for name in [*names, "yoloplug.hosts"]]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    classes += map(hosts.host, hosts.host_names())
    ours = [cls for cls in classes if issubclass(cls, nn.Module) and cls.__module__.startswith("yoloplug.")]
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in ours}


def test_every_class_path_is_recorded(request: pytest.FixtureRequest) -> None:
    """`pytest --update-recorded` adds new ones; it never takes one away."""
    recorded = set(json.loads(RECORDED.read_text()))
    if request.config.getoption("--update-recorded"):
        recorded |= present()
        RECORDED.write_text(json.dumps(sorted(recorded), indent=0) + "\n")
    assert not present() - recorded, "new classes: record them with --update-recorded"


def test_recorded_classes_are_where_they_were() -> None:
    for path in json.loads(RECORDED.read_text()):
        module, _, name = path.rpartition(".")
        cls = getattr(importlib.import_module(module), name, None)
        assert isinstance(cls, type) and issubclass(cls, nn.Module), f"{path} is gone: checkpoints that name it break"
        assert (cls.__module__, cls.__qualname__) == (module, name), (
            f"{path} is now {cls.__module__}.{cls.__qualname__}"
        )
