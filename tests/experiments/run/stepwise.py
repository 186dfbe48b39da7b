"""A task whose epochs only take time, to be killed, moved between processes and resumed. Not a test."""

import os
import time
from pathlib import Path
from typing import Any

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs, read_state

SPEC = """\
name: stepwise
task: detect
models: {models}
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: {epochs}, imgsz: 64, batch: 2, threads: 1}}
"""


class Data:
    """Nothing to check."""

    def check(self) -> None:
        pass

    def content_hash(self) -> str:
        return "hash"


def check_model(model: Any) -> None:
    pass


def check_options(options: Any, root: Any) -> None:
    pass


def open_data(*about: Any) -> Data:
    return Data()


def check_cell(cell: Cell) -> None:
    pass


def run_cell(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    """Goes on after the last epoch in the ledger, and writes down which process trained each epoch."""
    total = cell.spec.budget.epochs
    done = read_state(cell.folder, total).epochs
    epochs.start(resumed=done > 0)
    for epoch in range(done + 1, total + 1):
        time.sleep(float(os.environ.get("STEPWISE_S", "0.05")))
        with (cell.folder / "trained.txt").open(
            "a", encoding="utf-8"
        ) as file:  # before the ledger: a kill loses no line
            file.write(f"{epoch} {os.getpid()}\n")
        epochs.done(epoch, 1 / epoch)
    return {"metrics": {"AP": 0.5}, "diverged": False, "cost": {}, "train": {}, "method": {}, "files": {}}


def trained(folder: Path) -> list[tuple[int, int]]:
    """(epoch, process) of every epoch that was trained, in order."""
    lines = (folder / "trained.txt").read_text(encoding="utf-8").splitlines()
    return [(int(epoch), int(process)) for epoch, process in (line.split() for line in lines)]
