"""Cells that run in a process of their own, with a limit, and become rows of a JSON Lines file at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""table, row, column; failed: the stage that did, "" for none; why: in words; seconds: of processor time; versions."""

CPU_SECONDS = 300
WALL_SECONDS = 1800

_fork = multiprocessing.get_context("fork")  # a child starts with torch and Ultralytics imported


def read(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def latest(file: Path) -> list[Row]:
    """The last row of each cell."""
    return list({(row["table"], row["row"], row["column"]): row for row in read(file)}.values())


def write(file: Path, row: Row) -> None:
    """Append one row, in one write."""
    with file.open("a", encoding="utf-8") as rows:
        rows.write(json.dumps(row) + "\n")


def ran(cell: Callable[[Callable[[str], None]], None], folder: Path) -> Row:
    """The cell's outcome: failed, why, seconds. cell: told how to say which stage begins. folder: to work in."""
    receiving, sending = _fork.Pipe(duplex=False)
    child = _fork.Process(target=_child, args=(cell, folder, sending))
    child.start()
    sending.close()
    stage, end = "run", time.monotonic() + WALL_SECONDS
    while receiving.poll(max(end - time.monotonic(), 0)):
        try:
            kind, said = receiving.recv()
        except EOFError:
            break
        if kind == "stage":
            stage = said
            continue
        child.join()
        return dict(said, failed=stage if said["failed"] else "")
    late = time.monotonic() >= end
    if child.pid:
        os.killpg(child.pid, signal.SIGKILL)
    child.join()
    how = f"no end within {WALL_SECONDS} s" if late else f"killed by signal {-(child.exitcode or 0)}"
    return {"failed": stage, "why": how, "seconds": None}


def _child(cell: Callable[[Callable[[str], None]], None], folder: Path, sending: Any) -> None:
    os.chdir(folder)
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    log = tempfile.TemporaryFile()
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    started = time.process_time()
    failed, why = True, ""
    try:
        cell(lambda stage: sending.send(("stage", stage)))
        failed = False
    except (Exception, SystemExit) as error:  # whatever a mode of a foreign package raises is this cell's result
        lines = str(error).strip().splitlines() or [""]
        why = f"{type(error).__name__}: {lines[0]}"[:300]
        if os.environ.get("YOLOPLUG_DEBUG"):
            import traceback

            sys.stderr.write(traceback.format_exc())
            log.seek(0)
            why += "\n" + log.read().decode(errors="replace")[-6000:]
    sending.send(("row", {"failed": failed, "why": why, "seconds": round(time.process_time() - started, 1)}))
    sending.close()
    os._exit(0)
