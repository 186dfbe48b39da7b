"""How commands end: one line for what the user can cure, a traceback for a bug, 130 and 143 for signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yoloplug.cli import main
from yoloplug.errors import YoloplugError
from yoloplug.names import printable
from yoloplug.terminal import run


def fail(error: BaseException) -> int:
    raise error


def test_expected_errors_are_one_line_and_bugs_are_not_caught(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("p", lambda: fail(YoloplugError("no a\x1b[31m.pt")), (YoloplugError,)) == 2
    assert capsys.readouterr().err == "p: no a\\x1b[31m.pt\n"
    for bug in (KeyError("x"), ValueError("y"), TypeError("z"), OSError("w")):
        with pytest.raises(type(bug)):
            run("p", lambda bug=bug: fail(bug), (YoloplugError,))  # type: ignore[misc]


def test_debug_shows_where_it_arose(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for debug, variable, shown in ((True, "", True), (False, "1", True), (False, "0", False), (False, "", False)):
        monkeypatch.setenv("YOLOPLUG_DEBUG", variable)
        assert run("p", lambda: fail(YoloplugError("no")), (YoloplugError,), debug) == 2
        error = capsys.readouterr().err
        assert ("Traceback" in error and "in fail" in error) is shown and error.endswith("p: no\n")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("yoloplug.cli", ["check", "missing.yaml"]),
        ("segplug.cli", ["check", "missing"]),
        ("experiments.cli", ["report", "missing"]),
    ],
)
def test_all_three_commands_have_the_switch(command: str, arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; from {command} import main; sys.exit(main({arguments!r}))"
    for variable in ("", "1"):
        environment = os.environ | {"YOLOPLUG_DEBUG": variable}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 2 and ("Traceback" in done.stderr) is (variable == "1"), done.stderr


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["profile", "yolov8n.yaml"], "yoloplug.cost.profiles.profile"),
        (["check", "yolov8n.yaml"], "yoloplug.modelfile.report.check"),
        (["swap", "yolov8n.yaml", "C2f=C2f_gnConv", "-o", "x.yaml"], "yoloplug.modelfile.swapped.swap"),
        (["look", "a.pt", "a.png"], "yoloplug.bridge.look.inspection.Inspection"),
    ],
)
def test_a_signal_ends_in_one_line(
    command: list[str],
    place: str,
    number: int,
    code: int,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr(place, lambda *args, **options: os.kill(os.getpid(), number))
    assert main(command) == code
    assert capsys.readouterr().err == f"yoloplug: stopped by {name}\n" and signal.getsignal(number) is before


def test_names_of_files_do_not_reach_the_screen_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "yolov8n-\x1b]0;owned\x07\u202e.yaml"
    Path(name).write_text("nc: 1\nbackbone:\n- [-1, 1, Conv, [8, 3, 2]]\nhead:\n- [[0], 1, Detect, [nc]]\n")
    assert main(["check", name]) == 0
    assert main(["check", "\x1b[2J.yaml"]) == 2
    assert main(["profile", "\x1b[2J.pt"]) == 2
    shown = "".join(capsys.readouterr())
    assert "\x1b" not in shown and "\u202e" not in shown and "\\x1b]0;owned\\x07\\u202e.yaml" in shown


def test_ordinary_text_stays() -> None:
    assert printable("Rißbreite 0,3 mm\t漢\n") == "Rißbreite 0,3 mm\t漢\n"
