"""What a cell's folder says of it: its epochs as they end, and the state that anybody may read from any machine.

The folder is the only memory of a run. Runners, engines and nodes come and go; `row.json` is a finished cell,
`error.json` a failed one, `epochs.jsonl` the epochs so far, `lock/` who works on it now.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from experiments.cells.cell import Cell
from experiments.cells.lock import owner_of
from experiments.cells.record import read_json

ENDED = ("done", "diverged", "failed")
SHOWN_SCORES = 4


@dataclass(frozen=True)
class State:
    """`phase`: done, diverged, failed, running, to resume, to run. `epochs`: ended so far, with their median seconds.

    `last`: the newest epoch's record. `note`: a running cell's owner, a failed one's error, a done one's scores.
    """

    key: str
    phase: str
    epochs: int
    total: int
    epoch_s: float | None = None
    last: dict[str, Any] | None = None
    note: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def left_s(self) -> float | None:
        """Seconds of training left, going by this cell's own epochs; None before the first."""
        return None if self.epoch_s is None else (self.total - self.epochs) * self.epoch_s


class Epochs:
    """Writes the ledger `epochs.jsonl` of one cell. An epoch that was cut off and trained again counts once."""

    def __init__(self, cell: Cell, check: Callable[[], None] = lambda: None) -> None:
        """`check` is called at the end of each epoch and may raise: the cell is another worker's by now."""
        self.path = cell.folder / "epochs.jsonl"
        self.check = check
        self.since = time.perf_counter()

    def start(self, resumed: bool) -> None:
        """Begin timing; without `resumed` an earlier ledger is void."""
        if not resumed:
            self.path.unlink(missing_ok=True)
        self.since = time.perf_counter()

    def done(self, epoch: int, loss: float, monitor: str = "") -> None:
        """`epoch` counts from 1; `monitor` is a figure to watch, as text."""
        self.check()
        now = time.perf_counter()
        self._add(epoch, now - self.since, loss, monitor)
        self.since = now

    def saved(self, epoch: int, seconds: float, loss: float, monitor: str = "") -> None:
        """An epoch that the checkpoint has: a kill may have come before its line."""
        if epoch not in {record["epoch"] for record in _read(self.path)}:
            self._add(epoch, seconds, loss, monitor)

    def _add(self, epoch: int, seconds: float, loss: float, monitor: str) -> None:
        known = loss if math.isfinite(loss) else None
        _append(self.path, json.dumps({"epoch": epoch, "seconds": seconds, "loss": known, "monitor": monitor}))

    def summary(self, images: int) -> dict[str, Any]:
        """Epochs trained, images an epoch, seconds of all epochs (the validation after each included)."""
        seconds = [record["seconds"] for record in _read(self.path)]
        return {"epochs": len(seconds), "images_per_epoch": images, "seconds": sum(seconds)}


def read_state(folder: Path, total: int) -> State:
    """The state of the cell in `folder`, whose budget is `total` epochs. Writes nothing."""
    epochs = _read(folder / "epochs.jsonl")
    seconds = sorted(record["seconds"] for record in epochs)
    phase, note = _phase(folder, len(epochs))
    return State(
        key=folder.name,
        phase=phase,
        epochs=len(epochs),
        total=total,
        epoch_s=seconds[len(seconds) // 2] if seconds else None,
        last=epochs[-1] if epochs else None,
        note=note,
    )


def duration(seconds: float) -> str:
    """`2:03:20`, or `1 day, 2:00:00`."""
    return str(timedelta(seconds=round(seconds)))


def _phase(folder: Path, epochs: int) -> tuple[str, str]:
    if (folder / "row.json").exists():
        row = _json(folder / "row.json")
        scores = [f"{k} {v:.4f}" for k, v in row.get("metrics", {}).items() if v is not None]
        return "diverged" if row.get("diverged") else "done", ", ".join(scores[:SHOWN_SCORES])
    owner = owner_of(folder)
    if owner:
        return "running", str(owner)
    if (folder / "error.json").exists():
        return "failed", str(_json(folder / "error.json").get("error", ""))
    return ("to resume" if epochs else "to run"), ""


def _read(path: Path) -> list[dict[str, Any]]:
    """The records by epoch, later ones counting; a line that a kill or a full disk cut short is passed over."""
    records: dict[int, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
                records[record["epoch"]] = record
            except (ValueError, TypeError, KeyError):
                continue
    return [records[epoch] for epoch in sorted(records)]


def _append(path: Path, line: str) -> None:
    """A line of its own, even after one that was cut short."""
    with path.open("ab+") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            line = f"\n{line}"
        file.write(f"{line}\n".encode())


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    return content if isinstance(content, dict) else {}
