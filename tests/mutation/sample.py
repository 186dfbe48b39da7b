"""How many one-place errors do the tests see? A seeded sample of each room, with Wilson's 95 % interval.

    python tests/mutation/sample.py segplug/metrics yoloplug/blocks --mutants 80 --seed 0

Each mutant is one change (`mutants.py`) in a copy of the checkout, and runs, in a fork that has torch imported, the
tests that execute the lines of its function, fastest first, until one fails. What each test executes is measured once a
room by coverage.py; a block's number meets the contract of the block and the file of its own. A mutant that no test
runs survives. README.md has the figures and the survivors that are no
faults. Linux only: forks, limits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import pytest
from mutants import ALL, NUMBERS, Mutant, mutants
from scipy.stats import binomtest

ROOT = Path(__file__).parents[2]
OURS = ("yoloplug", "segplug", "experiments", "ultralytics", "tests", "conftest")
SLACK_S, MOST_TESTS = 20, 400
BRIDGE = "safe_load training checkpoint health transfer trace inplace load optimizer_groups recorded model".split()
ROOMS: dict[str, list[str]] = {
    "segplug/metrics": ["segplug/metrics", "segplug/evaluation"],
    "segplug/measurement": ["segplug/measurement"],
    "experiments/statistics": ["experiments/statistics", "experiments/report/test_verdicts.py"],
    "experiments/metrics": ["experiments/metrics", "experiments/spec/test_photos.py", "experiments/evidence"],
    "experiments/report": ["experiments/report", "experiments/spec/test_photos.py"],
    "yoloplug/bridge": [  # not what only starts processes, nor trains
        *(f"yoloplug/bridge/{name}" for name in ("patches", "look")),
        *(f"yoloplug/bridge/test_{name}.py" for name in BRIDGE),
        *(f"yoloplug/{name}.py" for name in ("modelfile/test_check", "test_hosts", "weights/test_placement")),
    ],
    "yoloplug/blocks": [],
}
CONTRACT, BLOCK_TESTS = "tests/yoloplug/test_block_contract.py", "tests/yoloplug/blocks"
CONSTRUCTORS = "tests/yoloplug/test_constructors.py"
MOST_BLOCKS = 4  # that use the part which is changed
SIMULATIONS = {"experiments/statistics/coverage.py", "experiments/statistics/false_claims.py"}


class Seen:
    """A pytest plugin: which lines of a room each test runs, and how long it takes."""

    def __init__(self, coverage_of: coverage.Coverage) -> None:
        self.coverage, self.seconds, self.failed = coverage_of, defaultdict[str, float](float), list[str]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def copy_of_checkout(folder: Path) -> Path:
    """The files that git knows, and the place where this process and its children import our packages from."""
    copy = folder / "checkout"
    for path in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy / path)
    os.environ["PYTHONPATH"] = str(copy)
    return copy


def run_pytest(copy: Path, tests: list[str], plugins: list[object]) -> int:
    """In this process, which must not have imported our packages yet."""
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("yoloplug")]
    sys.path[:0] = [str(copy)]
    os.chdir(copy)
    with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={scratch}/t"]
        return int(pytest.main([*options, *tests], plugins=plugins))


def in_fork(work: Callable[[], int], log: Path, cpu_s: float) -> int:
    """Exit code of `work` in a process of its own; below 0 where a limit or a crash ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + 20 * cpu_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


class Room:
    """A copy of the checkout, and which tests run which lines of a room's files."""

    def __init__(self, name: str, copy: Path) -> None:
        self.name, self.copy = name, copy
        listed = subprocess.check_output(["git", "ls-files", f"{name}/*.py"], cwd=ROOT, text=True).split()
        self.files = [path for path in listed if path not in SIMULATIONS]
        self.by_line: dict[str, dict[int, list[str]]] = {}
        self.seconds: dict[str, float] = {}
        self.measure()

    def measure(self) -> None:
        """One run of the room's tests; what they import is imported here, too, so that forks have it."""
        found, tests = self.copy.parent / "found.json", [f"tests/{path}" for path in ROOMS[self.name]]

        def work() -> int:
            lines = coverage.Coverage(
                data_file=None, config_file=False, include=[str(self.copy / path) for path in self.files]
            )
            seen = Seen(lines)
            lines.start()
            run_pytest(self.copy, tests, [seen])
            lines.stop()
            data = lines.get_data()
            by_line = {
                str(Path(file).relative_to(self.copy)): data.contexts_by_lineno(file) for file in data.measured_files()
            }
            names = [name for name in sys.modules if name.split(".")[0] not in OURS]
            found.write_text(json.dumps([by_line, seen.seconds, seen.failed, names]))
            return 0

        log = self.copy.parent / "log.txt"
        if in_fork(work, log, 3600) or (answer := json.loads(found.read_text()))[2]:
            why = [line for line in log.read_text().splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
            raise SystemExit("\n".join([f"{self.name}: its tests must pass first", *why]))
        lines, self.seconds, _, names = answer
        self.by_line = {path: {int(line): run for line, run in of.items()} for path, of in lines.items()}
        for name in names:
            if not name.startswith("_") and "." not in name:
                with contextlib.suppress(Exception):  # a module that only its package may import
                    import_module(name)

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that run a line of the mutant's function, else of its file, else all; the fastest first."""
        of = self.by_line.get(mutant.path, {})
        first, last = mutant.lines
        found = {test for line, run in of.items() if first < line <= last for test in run}
        if not first or found == {""}:  # of a module, or run as one is imported
            found = {test for run in of.values() for test in run if test} or set(self.seconds)
        return sorted(found - {""}, key=lambda test: self.seconds.get(test, 0.0))

    def ending(self, mutant: Mutant, text: str) -> str:
        """killed, survived, or untested."""
        tests = self.tests(mutant)[:MOST_TESTS]
        if not tests:
            return "untested"
        file, log = self.copy / mutant.path, self.copy.parent / "log.txt"
        whole, times = file.read_text(), file.stat()
        limit = 5 * sum(self.seconds.get(test, 2.0) for test in tests) + SLACK_S
        file.write_text(text)
        os.utime(file, (times.st_atime, times.st_mtime + random.randrange(10**6)))  # or its .pyc would be taken
        try:
            code = in_fork(lambda: run_pytest(self.copy, tests, []), log, limit)
        finally:
            file.write_text(whole)
            os.utime(file, (times.st_atime, times.st_mtime))
        return "survived" if code == 0 else "killed"


class Collected:
    """A pytest plugin: the tests that there are."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.names = [item.nodeid for item in items]


class Blocks(Room):
    """Numbers of blocks: nothing is measured, files tell which block they belong to."""

    def measure(self) -> None:
        for name in ("torch", "torchvision", "cv2", "onnx", "onnxruntime", "scipy", "sympy", "PIL"):
            import_module(name)
        self.sources = {path: (self.copy / path).read_text() for path in self.files}
        found = self.copy.parent / "found.json"

        def work() -> int:
            collected = Collected()
            code = run_pytest(self.copy, ["--collect-only", CONTRACT, CONSTRUCTORS], [collected])
            found.write_text(json.dumps(collected.names))
            return code

        if in_fork(work, self.copy.parent / "log.txt", 3600):
            raise SystemExit(f"{CONTRACT} cannot be collected")
        self.contract = json.loads(found.read_text())

    def tests(self, mutant: Mutant) -> list[str]:
        """The recorded outputs first, then the rest of the contract, then what is unique to the block or its part."""
        users = [mutant.path]
        while not any("@register(" in self.sources[path] for path in users):
            names = {path.removesuffix(".py").replace("/", ".") for path in users}
            more = [p for p, text in self.sources.items() if any(f"from {name} import" in text for name in names)]
            if set(more) <= set(users):
                break
            users = [*users, *(path for path in more if path not in users)]
        users = sorted(users, key=lambda path: (path != mutant.path, len(self.sources[path])))[: MOST_BLOCKS + 1]
        blocks = [name for path in users for name in re.findall(r'@register\(\s*"(\w+)"', self.sources[path])]
        classes = re.findall(r"^class (\w+)", self.sources[mutant.path], re.MULTILINE)
        contract = [name for name in self.contract if re.search(rf"\[({'|'.join([*blocks, *classes])})(-.*)?\]", name)]
        contract.sort(key=lambda name: ("recorded" not in name, "cost" not in name, "onnx" in name or "graphs" in name))
        about = [*blocks, *classes, mutant.path.removesuffix(".py").replace("/", ".")]
        texts = {path: path.read_text() for path in sorted((self.copy / BLOCK_TESTS).rglob("test_*.py"))}
        own = [path for path, text in texts.items() if f"from {about[-1]} import" in text]
        own += [
            path for path, text in texts.items() if path not in own and re.search(rf"\b({'|'.join(about)})\b", text)
        ]
        return [*contract[:2], *(str(path.relative_to(self.copy)) for path in own[:MOST_BLOCKS]), *contract[2:]]


def sample(name: str, count: int, seed: int, out: Path | None) -> None:
    """Print, and add to `out`, how each of `count` mutants of a room ended."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copy = copy_of_checkout(Path(scratch))
        room, endings = (Blocks if name == "yoloplug/blocks" else Room)(name, copy), list[str]()
        kind = NUMBERS if name == "yoloplug/blocks" else ALL
        drawn = [mutant for path in room.files for mutant in mutants(copy, path, kind)]
        of = len(drawn)
        random.Random(seed).shuffle(drawn)
        for mutant in drawn:
            if len(endings) == count:
                break
            if text := mutant.text():
                endings.append(room.ending(mutant, text))
                if endings[-1] != "killed":
                    print(f"  {endings[-1]}: {mutant}", flush=True)
                if out:
                    with out.open("a") as lines:
                        lines.write(json.dumps({"room": name, "mutant": str(mutant), "ending": endings[-1]}) + "\n")
    killed = endings.count("killed")
    low, high = binomtest(killed, len(endings)).proportion_ci(method="wilson")
    print(
        f"{name}: {killed} of {len(endings)} killed, {low:.1%} to {high:.1%} (of about {of}, seed {seed})", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("rooms", nargs="+", choices=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--mutants", type=int, default=80, help="drawn from each room (80)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="add one line a mutant to this file")
    given = parser.parse_args()
    for name in given.rooms:
        sample(name, given.mutants, given.seed, given.json)


if __name__ == "__main__":
    main()
