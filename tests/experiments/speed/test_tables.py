"""Each table of docs/speed.md has its measurement, its committed file and its place on the page."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from experiments.speed.results import PAGE, RESULTS, TABLES


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_measured_committed_and_shown(name: str) -> None:
    assert callable(importlib.import_module(f"experiments.speed.{name}").main)
    known = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    assert {row["run"] for row in known["rows"]} == set(range(len(known["runs"])))
    assert {"device", "threads", "torch", "ultralytics", "python", "yoloplug", "date"} <= set(known["runs"][0])
    assert f"<!-- {name} -->" in PAGE.read_text("utf-8")


def test_one_command_makes_them_all() -> None:
    said = subprocess.run([sys.executable, "-m", "experiments.speed", "--help"], capture_output=True, text=True)
    assert said.returncode == 0 and all(name in said.stdout for name in TABLES)
    wrong = subprocess.run([sys.executable, "-m", "experiments.speed", "--only", "x"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "invalid choice: 'x'" in wrong.stderr
