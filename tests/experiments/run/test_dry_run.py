"""`run --dry-run` and the view of a run: states, times, totals, and not a byte written."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments.cells.ledger import State, duration
from experiments.cells.lock import CellLock
from experiments.cli import main
from experiments.demo.cracks import draw_cracks
from experiments.demo.shapes import draw_shapes
from experiments.run.dry_run import Pace, finish_s, pace_of
from experiments.run.live import is_live, left_s, lines, summary, table, watching
from experiments.run.plan import plan

SPEC = """\
name: tiny
task: {task}
models: {models}
datasets: {{data: data}}
seeds: [0, 1]
budget: {{epochs: 4, imgsz: 64, batch: 2, workers: 0, threads: 1}}
"""


def write(folder: Path, task: str, models: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(task=task, models=models))
    return path


def put(cell: Path, epochs: int = 0, **files: object) -> None:
    cell.mkdir(parents=True)
    (cell / "epochs.jsonl").write_text(
        "".join(f'{{"epoch": {e}, "seconds": 10.0, "loss": 1.0}}\n' for e in range(1, epochs + 1))
    )
    for name, content in files.items():
        (cell / f"{name}.json").write_text(json.dumps(content))


def test_dry_run_lists_every_cell_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    models = "[{model: unet, encoder: tu-mobilenetv3_small_050}, {model: gbcnet, encoder: tu-mobilenetv3_small_050}]"
    spec, cells = write(tmp_path, "segment", models), tmp_path / "out" / "cells"
    encoder = "tu-mobilenetv3_small_050"
    made = plan(spec, tmp_path, tmp_path / "out")
    identity = made.cells[0].identity
    put(made.cells[0].folder, 4, row={**identity, "metrics": {"iou_crack": 0.5}})
    put(cells / f"unet-{encoder}-data-s1", 3)
    put(cells / f"gbcnet-{encoder}-data-s0", error={"error": "ValueError: no"})
    before = sorted(tmp_path.rglob("*"))
    assert main(["run", str(spec), "--data-root", str(tmp_path), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert sorted(tmp_path.rglob("*")) == before
    states = {line.split()[0]: line for line in text[1:5]}
    assert "done" in states[f"unet-{encoder}-data-s0"] and "iou_crack 0.5000" in states[f"unet-{encoder}-data-s0"]
    assert "to resume" in states[f"unet-{encoder}-data-s1"] and "3/4" in states[f"unet-{encoder}-data-s1"]
    assert "failed" in states[f"gbcnet-{encoder}-data-s0"] and "ValueError: no" in states[f"gbcnet-{encoder}-data-s0"]
    assert "to run" in states[f"gbcnet-{encoder}-data-s1"]
    assert text[5].startswith("1 failed before; --retry-failed")
    assert text[6].startswith("2 of 4 cells to run, ") and "engine local, 1 at a time: about 0:" in text[6]


def test_detection_is_timed_by_its_real_loss(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "data", train=5, val=2, side=64)
    cell = plan(write(tmp_path, "detect", "[yolov8n.yaml]"), tmp_path, tmp_path / "out").cells[0]
    pace = pace_of(cell)
    assert 0 < pace.image_s < pace.step_s
    assert pace.epoch_s == pytest.approx(3 * pace.step_s + 2 * pace.image_s)  # ceil(5 / 2) steps, 2 val images
    assert pace.end_s == pytest.approx((2 + 60) * pace.image_s)
    assert not (tmp_path / "out").exists()


def test_time_left_and_total() -> None:
    pace = Pace(1.0, 0.1, epoch_s=10.0, end_s=5.0)
    assert pace.left_s(state("to run", 0)) == 45.0
    assert pace.left_s(state("to resume", 3)) == 15.0
    assert pace.left_s(state("done", 4)) == 0.0
    assert finish_s([5.0, 5.0, 5.0], 1) == 15.0
    assert finish_s([5.0, 5.0, 5.0], 2) == 10.0
    assert finish_s([9.0, 1.0, 1.0, 1.0], 2) == 9.0
    assert finish_s([5.0], 64) == 5.0
    assert duration(7400.4) == "2:03:20"


def state(phase: str, epochs: int, key: str = "a", epoch_s: float | None = 10.0, note: str = "") -> State:
    last = {"epoch": epochs, "seconds": 12.0, "loss": 1.5, "monitor": "val AP 0.1"} if epochs else None
    return State(key, phase, epochs, 4, epoch_s if epochs else None, last, note)


def test_lines_tell_each_event_once() -> None:
    assert lines(None, state("done", 4)) == ["a: finished before, kept"]
    assert "--retry-failed" in lines(None, state("failed", 1, note="ValueError: x"))[0]
    assert lines(None, state("to resume", 2)) == ["a: to be resumed after epoch 2 of 4"]
    assert lines(None, state("to run", 0)) == []
    assert lines(state("to run", 0), state("running", 0, note="host, process 7")) == ["a: starts (host, process 7)"]
    assert lines(state("to resume", 2), state("running", 2, note="h")) == ["a: goes on after epoch 2 (h)"]
    assert lines(state("running", 1), state("running", 1)) == []
    assert lines(state("running", 1), state("running", 2)) == [
        "a  epoch 2/4  12.0 s  loss 1.500  val AP 0.1  left 0:00:20"
    ]
    assert lines(state("running", 4), state("done", 4, note="AP 0.5000")) == ["a: AP 0.5000"]
    assert lines(state("running", 4), state("diverged", 4)) == ["a: DIVERGED, a loss was not finite"]
    assert lines(state("running", 4), state("failed", 4, note="ValueError: x"))[0].startswith("a: FAILED, ValueError")


def test_table_and_summary() -> None:
    states = [state("done", 4, "one"), state("to run", 0, "two"), state("running", 1, "three"), state("failed", 1, "f")]
    assert summary(states) == "1 of 4 cells done, 1 failed, 1 running, about 0:01:10 left"  # 3 epochs and 4 epochs
    assert left_s([state("done", 4)]) is None
    screen = Console(width=80, file=io.StringIO())
    screen.print(table("demo", states))
    assert isinstance(screen.file, io.StringIO)
    title, *shown = screen.file.getvalue().splitlines()
    assert title.strip() == f"demo: {summary(states)}"
    assert [line.split()[0] for line in shown] == ["cell", "three", "f", "two", "one"]
    assert shown[1].split() == ["three", "running", "1/4", "10.0", "0:00:30"]


def test_live_only_on_a_terminal_outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_live(Console(file=Terminal())) and not is_live(Console(file=io.StringIO()))
    monkeypatch.setenv("TERM", "dumb")
    assert not is_live(Console(file=Terminal()))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    assert not is_live(Console(file=Terminal()))


def test_a_terminal_gets_the_table_and_nothing_else_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    made = plan(write(tmp_path, "detect", "[yolov8n.yaml]"), tmp_path, tmp_path / "out")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stdout", stream)
        with watching(made):
            pass
        assert ("0 of 2 cells done" in stream.getvalue()) == shown


def test_a_cell_in_work_is_shown_with_its_owner(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    made = plan(write(tmp_path, "detect", "[yolov8n.yaml]"), tmp_path, tmp_path / "out")
    with CellLock(made.cells[0].folder):
        assert [s.phase for s in made.states] == ["running", "to run"] and "process" in made.states[0].note
