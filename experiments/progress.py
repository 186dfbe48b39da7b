"""One plain line per epoch with the time left, and the measured training time, kept across kills."""

import json
import math
import time
from datetime import timedelta
from typing import Any

from experiments.spec import Cell

__all__ = ["Epochs"]


class Epochs:
    """Ledger `epochs.jsonl` of one cell. An epoch that was cut off and trained again counts once."""

    def __init__(self, cell: Cell) -> None:
        self.total = cell.spec.budget.epochs
        self.name = cell.key
        self.path = cell.folder / "epochs.jsonl"
        self.since = time.perf_counter()

    def start(self, resumed: bool) -> None:
        """Begin timing; without `resumed` an earlier ledger is void."""
        if not resumed:
            self.path.unlink(missing_ok=True)
        self.since = time.perf_counter()

    def done(self, epoch: int, loss: float, monitor: str = "") -> None:
        """`epoch` counts from 1."""
        now = time.perf_counter()
        record = {"epoch": epoch, "seconds": now - self.since, "loss": loss if math.isfinite(loss) else None}
        self.since = now
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        left = (self.total - epoch) * record["seconds"] if record["seconds"] else 0
        print(
            f"{self.name}  epoch {epoch}/{self.total}  {record['seconds']:.1f} s  loss {loss:.3f}  {monitor}"
            f"  left {timedelta(seconds=round(left))}",
            flush=True,
        )

    def summary(self, images: int) -> dict[str, Any]:
        """Epochs trained, images an epoch, seconds of all epochs (the validation after each included)."""
        seconds: dict[int, float] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                seconds[record["epoch"]] = record["seconds"]
        return {"epochs": len(seconds), "images_per_epoch": images, "seconds": sum(seconds.values())}
