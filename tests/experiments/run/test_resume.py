"""Killed runners, two runners on one folder, a full disk: what is computed stays, and nothing is done twice."""

import errno
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.cells.ledger import read_state
from experiments.cells.storage import StorageFull, is_full
from experiments.cli import main
from experiments.run.run import run
from experiments.tasks import TASKS
from segplug.data.images.writing import write_picture
from segplug.errors import SegplugError

sys.path.insert(0, str(Path(__file__).parent))
import stepwise

fork = multiprocessing.get_context("fork")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """write(models="[a.yaml]", epochs=3) -> the spec of stepwise cells beside its data."""
    (tmp_path / "data").mkdir()
    monkeypatch.setitem(TASKS, "detect", replace(TASKS["detect"], trainers={"yaml": "stepwise"}))
    monkeypatch.setattr("experiments.run.job.POLL_S", 0.05)

    def write_spec(models: str = "[a.yaml, b.yaml]", epochs: int = 3) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_text(stepwise.SPEC.format(models=models, epochs=epochs))
        return path

    return write_spec


def test_killed_runner_loses_at_most_an_epoch(write: Write, tmp_path: Path) -> None:
    spec, out = write(models="[a.yaml]", epochs=8), tmp_path / "out"
    cell = out / "cells" / "a-data-s0"
    runner = fork.Process(target=run, args=(spec, tmp_path, out, str))
    runner.start()
    _wait_for(lambda: read_state(cell, 8).epochs >= 3)
    assert runner.pid and read_state(cell, 8).phase == "running"
    os.kill(runner.pid, signal.SIGKILL)
    runner.join()
    assert read_state(cell, 8).phase == "to resume"
    said: list[str] = []
    assert run(spec, tmp_path, out, said.append) == 0
    epochs = [epoch for epoch, _ in stepwise.trained(cell)]
    assert sorted(set(epochs)) == list(range(1, 9)) and len(epochs) <= 9
    assert len({process for _, process in stepwise.trained(cell)}) == 2
    assert said[0].startswith("a-data-s0: to be resumed after epoch ") and said[-1] == "a-data-s0: AP 0.5000"


def test_two_runners_share_the_cells_and_both_finish(write: Write, tmp_path: Path) -> None:
    spec, out = write(models="[a.yaml, b.yaml, c.yaml, d.yaml]", epochs=4), tmp_path / "out"
    runners = [fork.Process(target=run, args=(spec, tmp_path, out, str)) for _ in range(2)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(60)
        assert runner.exitcode == 0
    processes = set()
    for cell in (out / "cells").iterdir():
        assert [epoch for epoch, _ in stepwise.trained(cell)] == [1, 2, 3, 4]
        assert len({process for _, process in stepwise.trained(cell)}) == 1
        processes |= {process for _, process in stepwise.trained(cell)}
    assert len(processes) == 2


def test_a_runner_takes_up_what_a_killed_one_left(write: Write, tmp_path: Path) -> None:
    spec, out = write(models="[a.yaml]", epochs=20), tmp_path / "out"
    cell = out / "cells" / "a-data-s0"
    first, second = (fork.Process(target=run, args=(spec, tmp_path, out, str)) for _ in range(2))
    first.start()
    _wait_for(lambda: read_state(cell, 20).epochs >= 1)
    second.start()
    _wait_for(lambda: read_state(cell, 20).epochs >= 3)
    first.kill()
    second.join(60)
    assert second.exitcode == 0 and read_state(cell, 20).phase == "done"
    assert len(stepwise.trained(cell)) <= 21


def test_full_disk_stops_the_run_once(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, out = write(models="[a.yaml, b.yaml, c.yaml]"), tmp_path / "out"
    real, started = stepwise.run_cell, []

    def full(cell: Any, epochs: Any) -> dict[str, Any]:
        started.append(cell.key)
        if cell.model.label == "b":
            epochs.start(resumed=False)
            epochs.done(1, 1.0)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(cell, epochs)

    monkeypatch.setattr(stepwise, "run_cell", full)
    with pytest.raises(StorageFull, match=r"no space left for .*b-data-s0.*\n.*kept.* Free some space"):
        run(spec, tmp_path, out, str)
    assert started == ["a-data-s0", "b-data-s0"]  # c is not burnt through
    assert read_state(out / "cells" / "a-data-s0", 3).phase == "done"
    assert read_state(out / "cells" / "b-data-s0", 3).phase == "to resume"  # no failure of the model
    monkeypatch.setattr(stepwise, "run_cell", real)
    assert run(spec, tmp_path, out, str) == 0
    assert [epoch for epoch, _ in stepwise.trained(out / "cells" / "b-data-s0")] == [2, 3]


def test_full_disk_is_one_message_and_exit_2(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part.json") and (tmp_path / "out" / "cells").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(["run", str(write()), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("experiments: no space left for ") and "Traceback" not in error
    assert not list((tmp_path / "out").rglob("*.part*"))


def test_full_disk_is_known_through_other_errors() -> None:
    try:
        try:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        except OSError as quota:
            raise SegplugError("cannot write last.ckpt") from quota
    except SegplugError as error:
        assert is_full(error)
    assert is_full(RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file"))
    assert not is_full(OSError(errno.EACCES, "Permission denied"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("numbers", [1, 3_000_000])
def test_full_disk_is_known_from_what_torch_says(numbers: int) -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.save({"weight": torch.zeros(numbers)}, "/dev/full")
    assert is_full(raised.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_full_disk_is_known_from_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "segplug.data.images.writing.write_bytes", lambda path, content: Path("/dev/full").write_bytes(content)
    )
    with pytest.raises(OSError) as raised:
        write_picture(tmp_path / "a.png", np.zeros((64, 64), np.uint8))
    assert is_full(raised.value)


def test_a_folder_that_cannot_be_written_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert main(["run", str(write()), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2


def test_a_ledger_line_cut_short_is_passed_over(write: Write, tmp_path: Path) -> None:
    cell = tmp_path / "out" / "cells" / "a-data-s0"
    cell.mkdir(parents=True)
    (cell / "epochs.jsonl").write_text('{"epoch": 1, "seconds": 2.0, "loss": 1.0}\n{"epoch": 2, "sec')
    assert read_state(cell, 3).epochs == 1
    assert run(write(models="[a.yaml]"), tmp_path, tmp_path / "out", str) == 0
    assert [epoch for epoch, _ in stepwise.trained(cell)] == [2, 3]
    assert json.loads((cell / "epochs.jsonl").read_text().splitlines()[-1])["epoch"] == 3
    assert read_state(cell, 3).epochs == 3


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited 30 s"
        time.sleep(0.02)
