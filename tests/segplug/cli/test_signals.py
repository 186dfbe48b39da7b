"""Ctrl-C and SIGTERM: one line, the shell's exit code, and nothing lost."""

import csv
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from segplug.cli import main
from segplug.training.module import CrackModule

RECORDED = Path(__file__).parents[1] / "recorded" / "format1"
SMALL = ["--option", "encoder_depth=3", "--option", "decoder_channels=[16,8]", "--option", "detail_channels=4"]
FAST = ["--encoder", "tu-test_mambaout", *SMALL, "--epochs", "2", "--batch", "3", "--crop", "64", "--device", "cpu"]
SIGNALS = [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)]


@pytest.mark.parametrize(("number", "name", "code"), SIGNALS)
def test_a_stopped_training_says_how_to_go_on(
    number: int,
    name: str,
    code: int,
    cracks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    step, run = CrackModule.training_step, tmp_path / "a run"

    def stop_in_epoch_2(self: CrackModule, *args: Any) -> Any:
        if self.current_epoch == 1:
            os.kill(os.getpid(), number)
        return step(self, *args)

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(CrackModule, "training_step", stop_in_epoch_2)
    assert main(["train", "--data", str(cracks), "--out", str(run), *FAST]) == code
    monkeypatch.undo()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    last = capfd.readouterr().err.splitlines()[-1]
    start, _, command = last.partition("go on with: segplug ")
    assert start == f"segplug train: stopped by {name}; what is finished is kept, "
    assert main(shlex.split(command)) == 0
    assert [row["epoch"] for row in csv.DictReader((run / "metrics.csv").open())] == ["1", "2"]


@pytest.mark.parametrize(("number", "name", "code"), SIGNALS)
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["eval", str(RECORDED / "best.ckpt"), "--data", "d"], "segplug.evaluation.run.evaluate"),
        (["export", str(RECORDED / "best.ckpt")], "segplug.inference.export.export_model"),
        (["predict", "x", "--model", str(RECORDED / "best.ckpt"), "--out", "y"], "segplug.prediction.predict"),
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
    monkeypatch.setattr(place, lambda *args, **options: os.kill(os.getpid(), number))
    assert main(command) == code
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith(f"segplug {command[0]}: stopped by {name}")
    assert shown.err.count("\n") == 1
