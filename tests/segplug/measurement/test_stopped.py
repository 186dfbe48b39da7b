"""`segplug measure` that is stopped half-way: what it keeps, what it says, what it cleans up."""

import csv
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.cli import main
from segplug.errors import SegplugError
from segplug.measurement import Scale, folder
from segplug.measurement.folder import measure_folder
from segplug.measurement.report.picture import draw_measurement
from yoloplug import files
from yoloplug.files import WriteError, atomic_path


def measure(*arguments: object) -> int:
    return main(["measure", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


FULL = WriteError(Path("wall.jpg"), OSError(28, "No space left"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), FULL])
def test_whatever_stops_the_run_what_was_measured_is_kept(
    found: Path, tmp_path: Path, stop: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    write = folder.write_picture

    def full(path: Path, pixels: NDArray[np.uint8]) -> None:
        if path.stem == "wall <1>":
            raise stop
        write(path, pixels)

    third = found / "masks" / "x.png"
    third.write_bytes((found / "masks" / "wall 2.png").read_bytes())
    monkeypatch.setattr(folder, "write_picture", full)
    with pytest.raises(SegplugError if stop is FULL else KeyboardInterrupt) as raised:
        measure_folder(found, out, Scale(px_only=True))
    if stop is FULL:
        kept = f"of this run {out} has the tables of 2 of 3 masks and their report.html;"
        assert str(raised.value).startswith(f"cannot write wall.jpg ([Errno 28] No space left); {kept}")
    assert [row["image"] for row in rows(out / "images.csv")] == ["wall 2", "wall <1>"]
    assert json.loads((out / "measurements.json").read_text(encoding="utf-8"))["not_reached"] == 1
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "stopped before 1 of 3 masks" in page and "wall 2" in page
    monkeypatch.setattr(folder.Masks, "read", lambda masks, name: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # before the first mask: the earlier tables stay
        measure_folder(found, out, Scale(px_only=True))
    assert len(rows(out / "images.csv")) == 2


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(("name", "written"), [("report.html", 2), ("measurements.csv", 0)])
def test_a_full_disk_tells_what_is_kept(
    found: Path,
    tmp_path: Path,
    name: str,
    written: int,
    earlier: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All three tables of as many masks, and which report."""
    out = tmp_path / "report"
    if earlier:
        assert measure(found, "--px-only", "--out", out) == 0
    before = {file: file.read_bytes() for file in out.glob("*.*")}
    real = files.atomic_path

    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        if path.name == name:
            raise OSError(28, "No space left")
        with real(path) as part:
            yield part

    monkeypatch.setattr(files, "atomic_path", full)
    capsys.readouterr()
    assert measure(found, "--px-only", "--out", out) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    report = "an earlier report.html" if earlier else "no report.html"
    kept = f"of this run {out} has the tables of {written} of 2 masks and {report}; free disk space"
    assert f"cannot write {out / name} ([Errno 28] No space left); {kept}" in told
    if name == "measurements.csv":
        assert {file: file.read_bytes() for file in out.glob("*.*")} == before
    else:
        assert len(rows(out / "images.csv")) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_one_line(
    found: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    def stop(*arguments: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(folder, "draw_measurement", stop)
    assert measure(found, "--px-only", "--out", tmp_path / "report") == code
    told = capsys.readouterr().err
    assert told.startswith("segplug measure: stopped") and told.count("\n") == 1
    assert [row["image"] for row in rows(tmp_path / "report" / "images.csv")] == ["wall 2"]


def test_escape_sequences_of_a_name_reach_no_terminal(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found / "masks" / "wall 2.png").rename(found / "masks" / "\x1b[31mred.png")
    (found / "masks" / "wall <1>.png").write_bytes(b"junk \x1b")
    assert measure(found, "--px-only", "--out", tmp_path / "report") == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err and "\\x1b[31mred.png: no crack" in shown.err
    assert "\x1b" not in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_tables_are_written_as_it_goes(found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"

    seen: list[list[str]] = []

    def draw(*arguments: Any) -> NDArray[np.uint8]:
        seen.append([row["image"] for row in rows(out / "images.csv")])
        return draw_measurement(*arguments)

    monkeypatch.setattr(folder, "draw_measurement", draw)
    measure_folder(found, out, Scale(px_only=True))
    assert seen[0] == ["wall 2"]


def test_half_written_files_of_a_killed_run_are_removed(found: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    with pytest.raises(OSError, match="kept back"), atomic_path(out / "annotated" / "wall.jpg") as part:
        name = re.sub(r"-\d+-", f"-{2**22 + 1}-", part.name)  # no such process
        raise OSError("kept back")
    left = [out / "annotated" / name, out / name]
    for file in left:
        file.write_bytes(b"half")
    assert measure(found, "--px-only", "--out", out) == 0
    assert not any(file.exists() for file in left)
