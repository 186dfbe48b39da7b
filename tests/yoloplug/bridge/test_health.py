"""`yoloplug doctor`: says that the plug-in works, or what keeps it from working and what to do."""

import os
import subprocess
import sys
import types
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from ultralytics.nn import tasks

from yoloplug.bridge import health
from yoloplug.bridge.patches import parse
from yoloplug.cli import main


@pytest.fixture(autouse=True)
def as_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of other releases leave their refusal behind."""
    monkeypatch.setattr(parse, "refusal", "")


def test_a_healthy_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok  ") for line in lines[:-1]) and lines[-1] == "the plug-in works"
    for part in ("yoloplug ", "torch ", "ultralytics ", "hook: active, a model with gnConv builds", "native kernels: "):
        assert any(line.startswith(f"ok  {part}") for line in lines), part


def test_disabled(tmp_path: Path) -> None:
    code = "import sys; from yoloplug.cli import main; sys.exit(main(['doctor']))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"YOLOPLUG_DISABLE": "1"}, capture_output=True, text=True
    )
    assert run.returncode == 1 and "!!  YOLOPLUG_DISABLE is set" in run.stdout and "1 thing to do" in run.stdout


def no_start_up_hook(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    venv.create(folder / "bare", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(folder / "bare" / "bin" / "python"))


def untested_release(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(parse, "refusal", "parse_model takes (x) instead of (d, ch, verbose)")


def foreign_parse_model(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(tasks, "parse_model", lambda d, ch, verbose=True: None)


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
        (fork, "the module ultralytics comes from ultralytics-better: a fork", "then pip install ultralytics"),
        (copied_and_not_installed, "comes from no installed package (a folder on the path?)", "pip uninstall it"),
        (copied_package, "another ultralytics is installed in ", "from the path (PYTHONPATH"),
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
    class Distribution:
        def read_text(self, name: str) -> str:
            assert name == "direct_url.json"
            return '{"url": "https://example.org/fork.git"}'

    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"ultralytics": ["ultralytics"]})
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    assert any(", installed from https://example.org/fork.git" in finding.what for finding in health.examined())
