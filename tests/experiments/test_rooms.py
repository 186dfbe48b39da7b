"""The house of the comparisons: who may import whom, and no folder that is a heap."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "experiments"
FILES = sorted(HOUSE.rglob("*.py"))
FLAT = 10

# Room -> the rooms that its files may import: what is not listed is above it. `report` knows nothing of training.
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "tasks": set(),
    "metrics": set(),
    "statistics": {"metrics"},  # what its simulations score
    "spec": {"errors", "tasks"},
    "cells": {"errors", "spec"},
    "evidence": {"errors", "cells", "metrics", "tasks"},
    "report": {"errors", "spec", "tasks", "cells", "evidence", "metrics", "statistics"},
    "trainers": {"errors", "spec", "tasks", "cells", "evidence", "metrics"},
    "run": {"errors", "spec", "tasks", "cells", "evidence", "trainers"},
    "speed": {"cells", "metrics", "statistics", "report"},
    "pretrained": {"evidence", "metrics", "trainers"},
    "modes": set(),
    "demo": {"report", "run"},
    "cli": {"errors", "spec", "demo", "report", "run", "trainers"},
}
# Room -> packages that would not belong in it.
FOREIGN = {
    "tasks": {"torch", "numpy", "segplug", "yoloplug"},
    "statistics": {"torch", "json", "csv", "yaml", "pathlib", "segplug", "yoloplug"},
    "spec": {"torch", "numpy"},
    "report": {"torch", "lightning"},
}


def test_every_room_has_its_rule_and_no_heap() -> None:
    rooms = {path.relative_to(HOUSE).with_suffix("").parts[0] for path in FILES}
    assert rooms == {*BELOW, "__init__", "__main__"}
    for folder in {path.parent for path in FILES}:
        flat = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(flat) <= FLAT, f"{folder.relative_to(ROOT)}: {len(flat)} flat files: which room is missing?"


@pytest.mark.parametrize("room", BELOW)
def test_rooms_know_what_is_below_them(room: str) -> None:
    for path in (path for path in FILES if path.relative_to(HOUSE).with_suffix("").parts[0] == room):
        names = _named(path)
        rooms = {name.split(".")[1] for name in names if name.startswith("experiments.")}
        assert rooms <= BELOW[room] | {room}, f"{path.relative_to(ROOT)} imports {sorted(rooms - BELOW[room] - {room})}"
        foreign = {name.partition(".")[0] for name in names} & FOREIGN.get(room, set())
        assert not foreign, f"{path.relative_to(ROOT)} imports {sorted(foreign)}"


def _named(path: Path) -> set[str]:
    """Absolute names of what a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
