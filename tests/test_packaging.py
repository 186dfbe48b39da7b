"""The wheel holds what a user needs: both packages, the YAMLs, the start-up files; and nothing besides."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from yoloplug import BLOCKS
from yoloplug.bridge.yaml_files import model_yamls

ROOT = Path(__file__).parent.parent


def build(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    (wheel,) = folder.glob("yoloplug-*.whl")
    return wheel


def listed(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return listed(build(tmp_path_factory.mktemp("wheel")))


def test_wheel_brings_the_kernels_and_their_source(names: list[str]) -> None:
    kernels = {name for name in names if name.startswith("yoloplug/native/kernels/")}
    sources = {path.name for path in (ROOT / "yoloplug/native/kernels").glob("*.[ch]")}
    assert kernels == {f"yoloplug/native/kernels/{name}" for name in sources | {"kernels.so"}}


def test_wheel_without_a_compiler_is_for_every_platform(tmp_path: Path) -> None:
    wheel = build(tmp_path, CC="no-such-compiler")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not any(name.endswith(".so") for name in listed(wheel))


def test_wheel_holds_packages_yamls_pages_and_start_up_files(names: list[str]) -> None:
    assert {"yoloplug/__init__.py", "segplug/__init__.py", "yoloplug.pth", "yoloplug.start"} <= set(names)
    assert {f"segplug/page/{name}" for name in ("page.html", "parts.html", "style.css")} <= set(names)
    assert "segplug/measurement/report/report.html" in names
    assert {f"yoloplug/model_yamls/{name}" for name in model_yamls()} <= set(names)
    assert {"yoloplug/cli/blocks.json", *(f"yoloplug/block_pages/{name}.md" for name in BLOCKS)} <= set(names)


def test_wheel_holds_nothing_else(names: list[str]) -> None:
    roots = {name.split("/", 1)[0] for name in names}
    assert {root for root in roots if ".dist-info" not in root} == {
        "yoloplug",
        "segplug",
        "yoloplug.pth",
        "yoloplug.start",
    }


def test_start_up_line_is_readable_and_short() -> None:
    line = (ROOT / "yoloplug/_start/yoloplug.pth").read_text()
    assert line.startswith("import yoloplug  # ") and "YOLOPLUG_DISABLE=1" in line and line.count("\n") == 1
