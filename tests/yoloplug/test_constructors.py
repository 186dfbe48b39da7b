"""What YAML rows and users' code rest on: the defaults of every public class of the blocks, and the widths it takes."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import yoloplug.blocks

RECORDED = Path(__file__).parent / "recorded" / "constructors.json"
WIDTHS = range(1, 17)
CLASSES = sorted(
    name
    for name, cls in vars(yoloplug.blocks).items()
    if isinstance(cls, type) and issubclass(cls, nn.Module) and "__init__" in vars(cls)
)


def defaults(cls: type[nn.Module]) -> dict[str, str]:
    """Parameter -> its default as text, "" where it has none."""
    found = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        value: Any = parameter.default
        found[name] = "" if value is parameter.empty else getattr(value, "__name__", None) or repr(value)
    return found


def widths(cls: type[nn.Module]) -> list[int]:
    """Those of WIDTHS that the constructor takes for in and out alike, the rest being defaults."""
    names = [name for name, default in defaults(cls).items() if not default]
    taken = []
    for width in WIDTHS if set(names) <= {"c", "c1", "c2"} else ():
        try:
            with torch.device("meta"):
                cls(*[width for _ in names])
        except ValueError:
            continue
        taken.append(width)
    return taken


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_and_widths_are_the_recorded_ones(request: pytest.FixtureRequest, name: str) -> None:
    """Change them only on purpose, by `pytest --update-recorded`: rows of others build on them."""
    cls = getattr(yoloplug.blocks, name)
    found = {"defaults": defaults(cls), "widths": widths(cls)}
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if request.config.getoption("--update-recorded"):
        recorded[name] = found
        lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(recorded.items()))
        RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert found == recorded[name]


def test_nothing_else_is_recorded() -> None:
    assert sorted(json.loads(RECORDED.read_text())) == CLASSES
