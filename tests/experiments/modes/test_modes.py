"""docs/modes.md is what the committed rows say, and a cell that fails, hangs or dies becomes a row."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import yoloplug
from experiments.modes import names
from experiments.modes.cells import latest, ran
from experiments.modes.modes import FAMILIES, MODES
from experiments.modes.page import page

ROOT = Path(__file__).parents[3]
ROWS = ROOT / "experiments" / "results" / "modes.jsonl"

Stage = Callable[[str], None]


def test_the_page_is_what_the_rows_say() -> None:
    rows = latest(ROWS)
    text = (ROOT / "docs" / "modes.md").read_text(encoding="utf-8")
    assert text == page(rows), "run python -m experiments.modes --page-only"
    columns = {"modes": set(MODES), "names": {" ".join(case) for case in names.CASES}}
    known = {"modes": set(FAMILIES), "names": set(names.row_names())}
    for row in rows:
        assert row["column"] in columns[row["table"]] and row["row"] in known[row["table"]], row
        assert bool(row["failed"]) == bool(row["why"]), row


def test_families_are_blocks_and_cases_are_stock_models() -> None:
    assert set(FAMILIES.values()) - {""} <= set(yoloplug.BLOCKS)
    assert names.CASES["v8", "detect"] == "yolov8n.yaml" and names.CASES["26", "semantic"] == "yolo26n-sem.yaml"
    assert ("RT-DETR", "pose") in names.MISSING and ("v8", "semantic") in names.MISSING


def fails(stage: Stage) -> None:
    stage("fuses")
    raise ValueError("two\nlines")


def dies(stage: Stage) -> None:
    stage("builds")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("cell", "failed", "why"),
    [
        (lambda stage: None, "", ""),
        (fails, "fuses", "ValueError: two"),
        (dies, "builds", "killed by signal 9"),
        (lambda stage: exit("no"), "run", "SystemExit: no"),
    ],
)
def test_outcomes(cell: Callable[[Stage], None], failed: str, why: str, tmp_path: Path) -> None:
    found = ran(cell, tmp_path)
    assert (found["failed"], found["why"]) == (failed, why)


def test_a_group_that_fails_is_halved_down_to_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(case: object, file: object, traces: object, group: list[str], stage: Stage) -> None:
        stage("one step")
        if "C2f_GBC" in group:
            raise FloatingPointError("no number")

    monkeypatch.setattr(names, "_tried", tried)
    monkeypatch.setattr(names, "traced", lambda *_: [])
    wanted = [*names.row_names()[:40], "C2f_GBC"]
    found = dict(names.outcomes(("v8", "detect"), wanted, tmp_path))
    assert sorted(found) == sorted(wanted)
    assert {name: row["failed"] for name, row in found.items() if row["failed"]} == {"C2f_GBC": "one step"}
