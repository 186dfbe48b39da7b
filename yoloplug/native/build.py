"""Compile the kernels: into a wheel, or once on a user's machine into a cache folder. Standard library only."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels"
PREBUILT = KERNELS / "kernels.so"
"""What a wheel brings where the machine that built it had a compiler."""

_FLAGS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
_NATIVE: tuple[tuple[str, ...], ...] = (("-march=native",), ("-mcpu=native",), ())
_PORTABLE: tuple[tuple[str, ...], ...] = (("-DPORTABLE",), ())
_SECONDS = 600


class BuildError(Exception):
    """There is no library, and the message says why in one line."""


def compile_kernels(target: Path, portable: bool = False, real: str = "float") -> None:
    """Write the library to `target`. portable: for every processor of this architecture, the best code chosen when it
    is loaded. real: `double` for gradient checks. Raises BuildError; a file that is there stays, or is replaced whole.
    """
    command = _compiler()
    for tuned in _PORTABLE if portable else _NATIVE:
        said = _run(command, target, (*_FLAGS, *tuned, f"-DREAL={real}"))
        if said is None:
            return
    raise BuildError(f"{shlex.join(command)} failed: {said}")


def cached(folder: Path, real: str = "float") -> Path:
    """The library for this source, compiler and processor in `folder`, compiled now if it is not there or not whole.

    Its name ends in a hash of its content, so that a damaged file is seen; processes that compile at the same time
    write files of their own, any of which serves. Raises BuildError.
    """
    key = _key(_compiler(), real)
    for path in folder.glob(f"{key}-*.so"):
        if _named(key, path) == path.name:
            return path
        path.unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as work:
            made = Path(work) / "kernels.so"
            compile_kernels(made, real=real)
            path = folder / _named(key, made)
            os.replace(made, path)
    except OSError as error:
        raise BuildError(f"cannot write to {folder} ({error.strerror or error})") from error
    return path


def _named(key: str, path: Path) -> str:
    return f"{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"


def _compiler() -> list[str]:
    wanted = os.environ.get("CC", "").strip()
    for command in [shlex.split(wanted)] if wanted else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    raise BuildError(f"no C compiler ({'CC=' + wanted if wanted else 'cc, gcc or clang'}) is installed")


def _run(command: Sequence[str], target: Path, flags: Sequence[str]) -> str | None:
    """None, or the first line of what went wrong."""
    sources = [str(path) for path in sorted(KERNELS.glob("*.c"))]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".cc-") as work:
        made = Path(work) / target.name
        try:
            done = subprocess.run(
                [*command, *flags, "-o", str(made), *sources, "-lm"], capture_output=True, text=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            return (errors or done.stderr.splitlines() or [f"exit code {done.returncode}"])[0]
        os.replace(made, target)
    return None


def _key(command: Sequence[str], real: str) -> str:
    """Hash of all that the library depends on."""
    version = subprocess.run([*command, "--version"], capture_output=True, timeout=_SECONDS, check=False).stdout
    parts = [version, repr((list(command), _FLAGS, _NATIVE, real, sys.byteorder)).encode(), *_processor()]
    parts += [path.read_bytes() for path in sorted(KERNELS.glob("*.[ch]"))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> Iterator[bytes]:
    """What `-march=native` may depend on: a home folder may be shared by machines."""
    yield platform.machine().encode()
    try:
        lines = Path("/proc/cpuinfo").read_bytes().split(b"\n\n", 1)[0].splitlines()
    except OSError:
        yield platform.processor().encode()
        return
    names = (b"model name", b"flags", b"Features", b"CPU part", b"isa")
    yield from (line for line in lines if line.startswith(names))
