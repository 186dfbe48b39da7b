"""What a report cannot read or write ends in one message, and an earlier report stays whole."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from experiments.cli import main
from experiments.errors import SpecError
from experiments.report.comparison import compare
from experiments.report.examples import examples
from experiments.report.rows import read_run


def test_a_report_that_cannot_be_written_leaves_the_earlier_one_whole(
    tmp_path: Path, make_row: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_row(tmp_path / "run", "base", AP=0.4)
    out, command = tmp_path / "report", ["report", str(tmp_path / "run"), "--out"]
    earlier = [out / "report.md", out / "report.html", out / "plots" / "9-loss.png"]
    (out / "plots").mkdir(parents=True)
    for path in earlier:
        path.write_text("of an earlier report")
    real, room = os.fsync, iter(range(2))

    def fsync(descriptor: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("experiments.report.write.draw_plots", lambda comparison: {})
    monkeypatch.setattr(os, "fsync", fsync)
    assert main([*command, str(out)]) == 2
    error = capsys.readouterr().err
    assert f"cannot write {out}" in error.replace("\n", " ") and "No space left" in error and "--out" in error
    assert sorted(path for path in out.rglob("*") if path.is_file()) == sorted(earlier)
    assert {path.read_text() for path in earlier} == {"of an earlier report"}
    assert main([*command, str(out / "report.md")]) == 2
    assert f"cannot write {out / 'report.md' / 'report.md'}" in capsys.readouterr().err


def test_a_cut_file_is_one_message(tmp_path: Path, make_row: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cell = make_row(tmp_path, "base", AP=0.4)
    (comparison,) = compare([read_run(tmp_path)])
    (cell / "predictions.json").write_text("[{")
    with pytest.raises(SpecError, match=r"predictions\.json is not JSON .*; delete the cell's row\.json and run"):
        examples(comparison)
    error = tmp_path / "cells" / "other-data-s0" / "error.json"
    error.parent.mkdir()
    error.write_text('{"error": "no')
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"experiments: {error} is not JSON") and "delete it and run the spec again" in said


@pytest.mark.parametrize("text", ["epoch,loss\n1,0.5\n2,0.", "epoch,loss\n1\n", "epoch,loss\n1,x\n", "", "\0\n"])
def test_a_damaged_table_of_epochs_is_one_message(
    text: str, tmp_path: Path, make_row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_row(tmp_path, "base", AP=0.4) / "train" / "curves.csv"
    table.write_text(text)
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(table) in said and said.count("\n") == 1 and said.endswith("its curves are left out then\n")
    table.unlink()
    assert main(["report", str(tmp_path)]) == 0


def test_refusals(tmp_path: Path, make_row: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SpecError, match="no finished cell"):
        read_run(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    assert "no finished cell" in capsys.readouterr().err
    cell = make_row(tmp_path, "base", AP=0.4)
    run = read_run(tmp_path)
    with pytest.raises(SpecError, match="both hold cell"):
        compare([run, run])
    for text in ("{", "[]", '{"schema": 99}'):
        (cell / "row.json").write_text(text)
        with pytest.raises(SpecError, match=r"row\.json"):
            read_run(tmp_path)
