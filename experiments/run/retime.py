"""Measure the cost of finished cells again, on a machine that is quiet now. Quality is left as it was."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from experiments.cells.record import environment
from experiments.cells.row import read_row, write_row
from experiments.errors import SpecError
from experiments.spec.budget import Budget, Protocol
from experiments.spec.spec import Model
from experiments.trainers import trainer_at, trainer_name


def retime(folder: Path, say: Callable[[str], None] = print) -> int:
    """Put new `cost` into every row whose weights are still there; the number of rows. Raises SpecError without any.

    Seed by seed: where the machine's speed drifts, it does so for all models alike.
    """
    done = 0
    rows = {path: read_row(path) for path in sorted((folder / "cells").glob("*/row.json"))}
    for path, row in sorted(rows.items(), key=lambda item: item[1]["seed"]):
        weights = path.parent / row["files"].get("weights", "")
        if not weights.is_file():
            say(f"{row['cell']}: no weights, left as it is")
            continue
        before = row["cost"]["latency_ms"]
        trainer = trainer_at(trainer_name(row["task"], Model(**row["model"])))
        row["cost"] = trainer.measure_cost(weights, Budget(**row["budget"]), Protocol(**row["protocol"]))
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row["cost_environment"] = {**environment(), "measured": now}
        write_row(path, row)
        done += 1
        say(f"{row['cell']}: {before:.1f} -> {row['cost']['latency_ms']:.1f} ms")
    if not done:
        raise SpecError(f"{folder} holds no finished cell with its weights; run the spec first")
    return done
