"""`yoloplug doctor`: says that the plug-in works, or what keeps it from working and what to do."""

import functools
import os
import platform
import subprocess
import sys
import types
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import ultralytics
from ultralytics.nn import tasks

import yoloplug
from yoloplug.bridge import health, trace
from yoloplug.bridge.patches import parse
from yoloplug.cli import main

PLACE = Path(ultralytics.__file__).parent


@pytest.fixture(autouse=True)
def as_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of other releases leave their refusal behind."""
    monkeypatch.setattr(parse, "refusal", "")


def test_a_healthy_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok  ") for line in lines[:-1]) and lines[-1] == "the plug-in works"
    for part in ("torch ", "ultralytics ", "hook: active, a model with gnConv builds", "native kernels: "):
        assert any(line.startswith(f"ok  {part}") for line in lines), part
    here = Path(yoloplug.__file__).parent
    assert lines[0] == f"ok  yoloplug {yoloplug.__version__} in {here}, Python {platform.python_version()}"


def test_disabled(tmp_path: Path) -> None:
    code = "import sys; from yoloplug.cli import main; sys.exit(main(['doctor']))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"YOLOPLUG_DISABLE": "1"}, capture_output=True, text=True
    )
    assert run.returncode == 1 and "!!  YOLOPLUG_DISABLE is set" in run.stdout and "1 thing to do" in run.stdout


@pytest.mark.parametrize(("value", "off"), [("", False), ("0", False), ("1", True)])
def test_turned_off_and_not_patched(value: str, off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One finding: of a process that never had the hook, or of the variable that keeps it away."""
    monkeypatch.setenv("YOLOPLUG_DISABLE", value)
    monkeypatch.setattr(health, "_start_up", lambda: iter(()))
    monkeypatch.delattr(tasks, parse.RULE)
    switched = health.Finding("YOLOPLUG_DISABLE is set: the plug-in is off", "unset YOLOPLUG_DISABLE")
    missing = health.Finding("hook: not active in this process", "`import yoloplug` before you build a model")
    assert [finding for finding in health.examined() if finding.remedy] == [switched if off else missing]


@pytest.mark.parametrize(("version", "file"), [((3, 14, 9), "yoloplug.pth"), ((3, 15, 0), "yoloplug.start")])
def test_the_file_of_the_start_up_hook(
    version: tuple[int, ...], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_start_up_hook(monkeypatch, tmp_path)
    monkeypatch.setattr(health, "sys", types.SimpleNamespace(executable=sys.executable, version_info=version))
    (finding,) = health._start_up()
    assert finding.what.startswith(f"start-up hook: {file} is not in")


def no_start_up_hook(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    venv.create(folder / "bare", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(folder / "bare" / "bin" / "python"))


def untested_release(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(parse, "refusal", "parse_model takes (x) instead of (d, ch, verbose)")


def foreign_parse_model(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(tasks, "parse_model", lambda d, ch, verbose=True: None)


def parse_model_without_code(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(tasks, "parse_model", functools.partial(tasks.parse_model))


def not_there(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)


def does_not_build(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def build(model: object) -> None:
        raise trace.RowError(2, "no such luck")

    monkeypatch.setattr(trace, "build", build)


def fork(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"ultralytics": ["ultralytics-better"]})


def copied_and_not_installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "packages_distributions", dict)
    monkeypatch.setattr(metadata, "distribution", absent)


def copied_package(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "ultralytics").mkdir()
    copy = types.ModuleType("ultralytics")
    copy.__file__, copy.__version__ = str(folder / "ultralytics" / "__init__.py"), "8.4.0"  # type: ignore[attr-defined]
    copy.nn = types.SimpleNamespace(tasks=tasks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ultralytics", copy)


@pytest.mark.parametrize(
    ("fault", "what", "remedy"),
    [
        (no_start_up_hook, "start-up hook: yoloplug.", "pip install --force-reinstall --no-deps yoloplug"),
        (untested_release, "cannot be extended: parse_model takes (x)", f"install a tested release ({parse.TESTED})"),
        (foreign_parse_model, f"was replaced afterwards, by {__file__}", "remove the code that replaces it"),
        (parse_model_without_code, "replaced afterwards, by code without a source", "remove the code that replaces it"),
        (not_there, "Ultralytics cannot be imported: ", "pip install ultralytics"),
        (does_not_build, "a model with gnConv does not build: row 2: no such luck", "please report it"),
        (fork, "the module ultralytics comes from ultralytics-better: a fork", "then pip install ultralytics"),
        (copied_and_not_installed, "comes from no installed package (a folder on the path?)", "pip uninstall it"),
        (copied_package, f"another ultralytics is installed in {PLACE}", "from the path (PYTHONPATH"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_to_do(
    fault: Callable[[pytest.MonkeyPatch, Path], None], what: str, remedy: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fault(monkeypatch, tmp_path)
    ill = [finding for finding in health.examined() if finding.remedy]
    assert len(ill) == 1 and what in ill[0].what and remedy in ill[0].remedy


def test_where_ultralytics_was_installed_from(monkeypatch: pytest.MonkeyPatch) -> None:
    origin: str | None = '{"url": "https://example.org/fork.git"}'

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return origin

        def locate_file(self, name: str) -> Path:
            return PLACE.parent / name

    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"ultralytics": ["ultralytics"]})
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    told = f"ultralytics {ultralytics.__version__} in {PLACE}"
    (finding,) = health._package(ultralytics)
    assert finding == (f"{told}, installed from https://example.org/fork.git", "")
    origin = None  # from PyPI
    assert list(health._package(ultralytics)) == [(told, "")]
