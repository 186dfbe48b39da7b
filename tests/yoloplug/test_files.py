"""A file is whole or absent: full disks, killed processes, long names; tables that no spreadsheet runs."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from yoloplug import files
from yoloplug.files import WriteError, atomic_path, read_csv, remove_leftovers, write, write_all, write_csv, write_json


def test_an_error_keeps_the_earlier_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.json"
    write_json(target, {"a": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(target) as part:
        part.write_text("half")
        _ = 1 / 0
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in target.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", ["x" * 240 + ".png", "ö" * 120 + ".npz", "." + "y" * 240, "=cmd|' /C calc'!A0.csv"])
def test_names_up_to_the_limit_of_the_file_system(tmp_path: Path, name: str) -> None:
    files.write_text(tmp_path / name, "ä\n")
    assert (tmp_path / name).read_bytes() == "ä\n".encode()
    assert len(list(tmp_path.iterdir())) == 1


def test_the_hidden_file_has_the_suffix_that_writers_look_at(tmp_path: Path) -> None:
    seen: list[Path] = []
    write(tmp_path / "a.tar.npz", lambda part: (seen.append(part), part.write_bytes(b"1")))
    assert seen[0].suffix == ".npz" and seen[0].name.startswith(".") and seen[0].parent == tmp_path


def test_a_full_disk_names_file_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        WriteError, match=r"cannot write .*a\.txt .*No space left.*; the earlier a\.txt is kept; free disk"
    ):
        files.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_bug_in_the_writer_is_no_full_disk(tmp_path: Path) -> None:
    def bug(_: Path) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        write(tmp_path / "a.onnx", bug)


def test_torch_on_a_full_disk(tmp_path: Path) -> None:
    import torch

    with pytest.raises(WriteError, match="free disk space"):
        write(tmp_path / "a.pt", lambda part: torch.save(torch.zeros(1 << 20), "/dev/full"))


def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    write_all({first: b"1", second: b"2"})
    written: list[int] = []

    def full(file: int) -> None:
        written.append(file)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left") as raised:
        write_all({first: b"3", second: b"4"})
    assert raised.value.path == second and raised.value.errno == 28
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2") and len(list(tmp_path.iterdir())) == 2


def test_leftovers_of_killed_processes_go(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from yoloplug.files import write
write(pathlib.Path({str(tmp_path)!r}) / "a.txt", lambda part: (part.write_text("half"), os.kill(os.getpid(), 9)))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    (left,) = tmp_path.iterdir()
    with atomic_path(tmp_path / "b.txt") as mine:
        mine.write_text("mine")
        remove_leftovers(tmp_path)
        assert mine.exists() and not left.exists()
    remove_leftovers(tmp_path / "missing")


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    names = ["=1+1.jpg", "+a", "-b.png", "@c", " =d", "e,f", "'=g", "'h", "-1.5", "plain"]
    write_csv(table, ("name", "value"), [{"name": name, "value": -1.5} for name in names] + [{"name": "short"}])
    with table.open(newline="") as file:
        cells = [row[0] for row in csv.reader(file)][1:]
    assert [cell for cell in cells if cell.lstrip()[:1] in "=+-@" and cell != "-1.5"] == []
    assert [row["name"] for row in read_csv(table)] == [*names, "short"]
    assert read_csv(table)[0]["value"] == "-1.5"


def test_a_pipe_is_written_to_and_a_link_stays_one(tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    files.write_text(pipe, "through")
    assert reader.communicate(timeout=60)[0] == b"through" and pipe.is_fifo()
    target.write_text("old")
    link.symlink_to(target)
    files.write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="Linux has a device that is always full")
def test_a_device_stays_a_device() -> None:
    with pytest.raises(WriteError, match="No space left"):
        files.write_text(Path("/dev/full"), "x")
    assert Path("/dev/full").is_char_device()


def test_nan_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"), allow_nan=False)
    assert list(tmp_path.iterdir()) == []
