"""Ctrl-C and SIGTERM end a command with one line that goes on, and a shell's exit code."""

import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from experiments.cells.lock import owner_of
from experiments.cli import main
from experiments.demo.shapes import draw_shapes
from experiments.trainers.yolo import detect

SIGNALS = [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)]
SPEC = """\
name: tiny
task: detect
models: [yolov8n.yaml]
datasets: {data: data}
seeds: [0]
budget: {epochs: 1, imgsz: 64, batch: 2, workers: 0, threads: 1}
"""


@pytest.mark.parametrize(("number", "name", "code"), SIGNALS)
def test_a_stopped_run_gives_its_cell_back_and_says_how_to_go_on(
    number: int,
    name: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    spec, out, ran = tmp_path / "a spec.yaml", tmp_path / "out", []
    spec.write_text(SPEC)

    def stop(*about: Any) -> Any:
        ran.append(about)
        if len(ran) == 1:
            os.kill(os.getpid(), number)
        return {"metrics": {"AP": 0.5}, "diverged": False, "cost": {}, "train": {}, "method": {}, "files": {}}

    monkeypatch.setattr(detect, "run_cell", stop)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert main(["run", str(spec), "--data-root", str(tmp_path), "--out", str(out)]) == code
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    cell = out / "cells" / "yolov8n-data-s0"
    assert owner_of(cell) is None and not (cell / "row.json").exists() and not (cell / "error.json").exists()
    last = capsys.readouterr().err.splitlines()[-1]
    start, _, command = last.partition("go on with: python -m experiments ")
    assert start == f"experiments: stopped by {name}; what is finished is kept, "
    assert main(shlex.split(command)) == 0 and (cell / "row.json").exists()


@pytest.mark.parametrize(("number", "name", "code"), SIGNALS)
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["report", "x"], "experiments.report.write_report"),
        (["demo", "--out", "x"], "experiments.demo.run_demo"),
        (["time", "x"], "experiments.run.retime.retime"),
        (["masks", "data", "--data", "x", "--out", "y"], "experiments.trainers.yolo.masks.write_data"),
    ],
)
def test_every_command_stops_in_one_line(
    number: int,
    name: str,
    code: int,
    command: list[str],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(place, lambda *about, **more: os.kill(os.getpid(), number))
    assert main(command) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"experiments: stopped by {name}; ") and line.endswith(" ".join(command))
