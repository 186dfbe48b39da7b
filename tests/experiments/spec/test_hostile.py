"""Specs that nobody means end in one message: each case in a fork of its own, with limits on time and memory."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.cells.cell import cell_keys
from experiments.errors import SpecError
from experiments.spec.read import read_spec

SECONDS, BYTES, LETTERS = 5, 1 << 30, 1500
GOOD: dict[str, Any] = {
    "name": "tiny",
    "task": "detect",
    "models": [{"model": "yolov8n.yaml"}, {"model": "yolov8s.yaml", "matched_to": "yolov8n.yaml", "by": "params"}],
    "datasets": {"data": {"path": "data", "val_share": 0.2, "split_seed": 1}},
    "seeds": [0, 1],
    "budget": {"epochs": 1, "imgsz": 64, "batch": 2, "device": "cpu", "workers": 0, "threads": 1},
    "protocol": {"conf": 0.1, "iou": 0.7, "max_det": 300, "latency_runs": 50, "latency_warmup": 1},
    "train": {},
    "engine": {"name": "local", "jobs": 1, "retries": 1},
    "loggers": ["tensorboard"],
    "subsets": {"fresh": {"exclude": "listed.txt", "dataset": "data"}},
}
LAUGHS = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
TEN = ", ".join(["*a"] * 10)
TEXTS = {
    "recursive anchor": "name: &a [*a]\n",
    "nested lists": "name: " + "[" * 20_000,
    "nested mappings": "name: " + "{a: " * 20_000,
    "nested lines": "".join(f"{' ' * depth}a:\n" for depth in range(1000)),
    "billion laughs": f"a: &a [x]\n{LAUGHS}",
    "merged laughs": "a: &a {x: 1}\n" + "".join(f"b{i}: {{<<: [{TEN}]}}\n" for i in range(9999)),
    "many values": f"name: [{'1,' * 200_000}]\n",
    "a large file": f"name: {'x' * 2_000_000}\n",
    "digits": f"name: {'9' * 5000}\n",
    "NUL": "name: \0\n",
    "half a surrogate pair": 'name: "\\ud800"\n',
    "a list as key": "? [a]\n: 1\n",
    "code": "name: !!python/object/apply:os.system [true]\n",
    "a wrong boolean": "name: !!bool x\n",
    "no hexadecimal": "name: 0x_\n",
    "two documents": "name: a\n---\nname: b\n",
    "a byte order mark alone": "\ufeff",
    "a set": "!!set {name}\n",
}
VALUES: dict[str, Any] = {
    "null": None, "empty": "", "up": "..", "here": ".", "blank": "   ", "long": "x" * 300, "path": "../../etc",
    "root": "/", "negative": -1, "zero": 0, "million": 1_000_000, "huge": 10**30, "float": 1e308, "tiny": 1e-320,
    "inf": float("inf"), "nan": float("nan"), "true": True, "list": [], "lists": [[[]]], "mapping": {},
    "mappings": {"": {"": None}},
    "escape": "\x1b[2J", "quote": "'\"`$(true)`", "words": "one two", "text list": ["a"] * 3000,
}  # fmt: skip
TEXT = {"up", "here", "long", "path", "root", "escape", "quote", "words", "empty", "blank"}
# What may stand there: key -> values that are taken. Paths are looked at later, with --data-root.
TAKEN: dict[str, set[str]] = {
    "datasets.data.path": TEXT,
    "subsets.fresh.exclude": TEXT,
    "engine.address": set(),
    "budget.device": TEXT | {"negative", "zero", "million", "huge"},  # the plan knows the machine's
    "budget.workers": {"zero"},
    "protocol.conf": {"zero", "tiny"},
    "protocol.iou": {"tiny"},
    "protocol.max_det": {"million"},
    "protocol.latency_runs": {"million"},
    "protocol.latency_warmup": {"million"},
    "engine.retries": {"zero"},
    "seeds.0": {"zero", "million"},
    "datasets.data.split_seed": {"zero", "million"},
    "datasets.data.val_share": {"tiny"},
    "train": {"mapping", "mappings"},
    "models.1": {"path", "escape", "quote", "words"},
    "datasets.data": TEXT,
    "seeds.1": {"million"},
    "protocol": {"mapping"},
    "engine": {"mapping"},
    "subsets": {"mapping"},
    "subsets.fresh.dataset": {"null"},
}


def keys(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([at] if at else []) + [key for name, item in inner for key in keys(item, (*at, name))]


def changed(at: tuple[Any, ...], value: Any) -> str:
    spec = yaml.safe_load(yaml.safe_dump(GOOD))
    place = spec
    for name in at[:-1]:
        place = place[name]
    place[at[-1]] = value
    return yaml.safe_dump(spec)


def judged(path: Path) -> str:
    """How reading ends in a fork: accepted, refused (in one message that names the file), unclear, or how it broke."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        said = "accepted"
        try:
            cell_keys(read_spec(path).spec)
        except SpecError as error:
            text = str(error)
            clear = (str(path) in text or error.key) and len(text) < LETTERS and "\n" not in text
            said = "refused" if clear else f"unclear: {text!r}"
        except BaseException as error:
            said = f"broke: {type(error).__name__}: {error}"
        os.write(writer, said.encode(errors="replace")[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    return said or f"died: {os.waitpid(child, 0)[1]}"


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_no_spec(name: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(TEXTS[name].encode())
    assert judged(path) == "refused"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks with limits")
def test_every_key_with_values_that_nobody_means(tmp_path: Path) -> None:
    path, wrong = tmp_path / "spec.yaml", []
    path.write_text(yaml.safe_dump(GOOD))
    assert judged(path) == "accepted"
    for at in keys(GOOD):
        name = ".".join(map(str, at))
        for kind, value in VALUES.items():
            path.write_text(changed(at, value), encoding="utf-8")
            said = judged(path)
            if (said == "accepted") != (kind in TAKEN.get(name, ())) or said not in ("accepted", "refused"):
                wrong.append(f"{name} {kind}: {said}")
    assert not wrong, "\n".join(wrong)
