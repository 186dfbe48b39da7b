"""One cell, wherever it runs: claimed, trained, scored, written down; what goes wrong is written down too."""

import contextlib
import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.lock import CellLock, LockLost
from experiments.cells.record import environment, read_json
from experiments.cells.row import ROW_SCHEMA, Row, write_row
from experiments.cells.storage import is_full, storage_full
from experiments.errors import SpecError
from experiments.trainers import trainer_at
from yoloplug.files import write_json

POLL_S = 2.0
"""How often a cell in another worker's hands is looked at again."""


@dataclass(frozen=True)
class Job:
    """A checked cell, and all that a process on another machine needs to run it.

    `trainer`: its module. `forgive`: text of the `error.json` that this run may try again; any other failure stands.
    """

    cell: Cell
    trainer: str
    forgive: str | None = None

    @property
    def ended(self) -> bool:
        """Finished, or failed with an error that this run does not forgive."""
        if (self.cell.folder / "row.json").exists():
            return True
        error = self.cell.folder / "error.json"
        try:
            return error.read_text(encoding="utf-8") != self.forgive
        except FileNotFoundError:
            return False


def work(jobs: list[Job]) -> None:
    """Run every job that nobody else runs; wait for those that others run, and take up what they leave behind."""
    left = jobs
    while left := [job for job in left if not job.ended]:
        if not any([attempt(job) for job in left]):  # a list: every one is attempted
            time.sleep(POLL_S)


def attempt(job: Job) -> bool:
    """Run a cell unless it ended meanwhile; False when another worker has it.

    A cell that fails leaves `error.json` and counts as run. Raises StorageFull.
    """
    folder = job.cell.folder
    try:
        with CellLock(folder) as lock:
            if lock.mine and not job.ended:
                _run(job, lock)
            return lock.mine
    except LockLost:
        return False
    except OSError as error:
        if is_full(error):
            raise storage_full(folder, error) from error
        raise SpecError(f"cannot write to {folder}: {error}; give another --out") from error


def give_up(job: Job, reason: str) -> None:
    """Write down that a cell failed whose workers keep dying, unless somebody else runs it."""
    with CellLock(job.cell.folder) as lock:
        if lock.mine:
            _fail(job.cell, reason, "The process left no traceback; see log.txt.")


def _run(job: Job, lock: CellLock) -> None:
    cell = job.cell
    try:
        (cell.folder / "error.json").unlink(missing_ok=True)
        row = _row(job, lock)
        lock.check()
        write_row(cell.folder / "row.json", row)
    except LockLost:
        raise
    except Exception as error:  # whatever a model does, the other cells of the night still run
        if is_full(error):
            raise storage_full(cell.folder, error) from error
        _fail(cell, f"{type(error).__name__}: {error}", traceback.format_exc())


def _row(job: Job, lock: CellLock) -> Row:
    cell = job.cell
    started = _started(cell)
    write_json(cell.folder / "cell.json", {**cell.identity, "started": started}, indent=1)
    start = environment()
    torch.set_num_threads(cell.spec.budget.threads)
    with (
        (cell.folder / "log.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        result = trainer_at(job.trainer).run_cell(cell, Epochs(cell, lock.check))
    row: Any = {
        "schema": ROW_SCHEMA,
        "name": cell.spec.name,
        "cell": cell.key,
        "label": cell.model.label,
        "baseline": cell.spec.models[0].label,
        **cell.identity,
        "environment": {**start, "device": cell.spec.budget.device, "threads": cell.spec.budget.threads},
        "started": started,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **result,
    }
    return Row(**row)


def _started(cell: Cell) -> str:
    """When the first process took the cell up, which may have been another than this one."""
    path = cell.folder / "cell.json"
    known = read_json(path).get("started") if path.exists() else None
    return str(known or datetime.now(timezone.utc).isoformat(timespec="seconds"))


def _fail(cell: Cell, error: str, text: str) -> None:
    record = {"cell": cell.key, "error": error, "traceback": text, "failed": datetime.now(timezone.utc).isoformat()}
    write_json(cell.folder / "error.json", record, indent=1)
