"""The library is compiled once, by whichever process comes first; damaged ones are made again; no compiler, no harm."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from yoloplug.cli import main
from yoloplug.native import build, library, status
from yoloplug.native.build import BuildError, cached, compile_kernels


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source instead of the kernels: compiled in no time."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "seven.c").write_text("int seven(void) { return 7; }\n")
    monkeypatch.setattr(build, "KERNELS", folder)
    return folder


def seven(path: Path) -> int:
    return int(ctypes.CDLL(str(path)).seven())


def test_compiles_once_and_again_for_another_source(kernels: Path, tmp_path: Path) -> None:
    path = cached(tmp_path / "cache")
    assert seven(path) == 7 and os.listdir(tmp_path / "cache") == [path.name]
    made = path.stat().st_mtime_ns
    assert cached(tmp_path / "cache") == path and path.stat().st_mtime_ns == made
    (kernels / "seven.c").write_text("int seven(void) { return 8; }\n")
    assert seven(cached(tmp_path / "cache")) == 8


@pytest.mark.parametrize("damage", [b"", b"no library", None])
def test_a_damaged_library_is_made_again(kernels: Path, tmp_path: Path, damage: bytes | None) -> None:
    path = cached(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage is None else damage)
    assert seven(cached(tmp_path)) == 7


def test_processes_may_compile_at_the_same_time(kernels: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: cached(tmp_path / "cache"), range(4)))
    assert all(seven(path) == 7 for path in paths)
    assert all(name.endswith(".so") for name in os.listdir(tmp_path / "cache"))


def test_a_portable_library_computes_too(kernels: Path, tmp_path: Path) -> None:
    compile_kernels(tmp_path / "portable.so", portable=True)
    assert seven(tmp_path / "portable.so") == 7


def test_says_why_there_is_none(kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kernels / "seven.c").write_text("int seven(void) { return }\n")
    with pytest.raises(BuildError, match=r"failed: .*error: expected expression"):
        cached(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"cannot write to .*file.* "):
        cached(tmp_path / "file" / "below")
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(BuildError, match=r"no C compiler \(CC=no-such-compiler -m64\) is installed"):
        cached(tmp_path)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As in a new process whose cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    library._load.cache_clear()
    yield
    library._load.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from segplug.models.scsegamba.scan import selective_scan

    monkeypatch.setattr(library, "PREBUILT", tmp_path / "none.so")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert status().path is None
    assert str(status()) == (
        "native kernels: not in use, torch computes instead: no C compiler (cc, gcc or clang) is installed"
    )
    inputs = [torch.rand(shape) for shape in ((1, 2, 5, 3), (1, 5, 3), (3, 4), (1, 2, 5, 4), (1, 5, 4), (3,))]
    assert selective_scan(*inputs).isfinite().all()


@pytest.mark.usefixtures("fresh")
def test_the_wheels_library_comes_first_unless_it_does_not_load(
    kernels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compile_kernels(tmp_path / "kernels.so")
    monkeypatch.setattr(library, "PREBUILT", tmp_path / "kernels.so")
    assert str(status()) == f"native kernels: in use, as installed: {tmp_path / 'kernels.so'}"
    library._load.cache_clear()
    (tmp_path / "other.so").write_bytes(b"of another system")
    monkeypatch.setattr(library, "PREBUILT", tmp_path / "other.so")
    assert str(status()).startswith("native kernels: in use, compiled on this machine: ")


def test_the_switch_and_the_command_that_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["blocks", "--native"]) == 0
    assert capsys.readouterr().out == f"{status()}\n"
    assert status().path is not None, "this machine has a compiler: CI tests the kernels"
    monkeypatch.setenv("YOLOPLUG_NATIVE", "0")
    assert main(["blocks", "--native"]) == 0
    assert capsys.readouterr().out == "native kernels: not in use, YOLOPLUG_NATIVE=0 turns them off\n"


def test_telling_needs_no_torch() -> None:
    script = "import sys; from yoloplug.native import library; library.status(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
