"""Run a spec: every cell once, each in its own folder, finished ones never again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.cells.cell import Cell
from experiments.cells.ledger import ENDED
from experiments.cells.storage import is_full, storage_full
from experiments.errors import SpecError
from experiments.run.engines import run_jobs
from experiments.run.job import Job
from experiments.run.live import watching
from experiments.run.plan import plan
from experiments.spec.budget import Engine
from experiments.spec.read import SpecFile
from experiments.trainers import trainer_name
from yoloplug.files import write_json, write_text


def run(
    spec: SpecFile | Path,
    data_root: Path,
    out: Path,
    say: Callable[[str], None] | None = None,
    engine: Engine | None = None,
    loggers: tuple[str, ...] = (),
    retry_failed: bool = False,
    only: Sequence[str] = (),
) -> int:
    """Run what is missing; the number of cells that failed. A failed cell leaves `error.json`, the others go on.

    Cells that failed in an earlier run are left alone unless `retry_failed`. Without `say`, a live table on a terminal
    and plain lines elsewhere. Raises SpecError; StorageFull when there is no room for more results.
    """
    checked = plan(spec, data_root, out, engine, loggers, only)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / "spec.yaml").exists() or (out / "spec.yaml").read_text(encoding="utf-8") != checked.text:
            write_text(out / "spec.yaml", checked.text)
            write_json(out / "spec.json", {"committed": checked.committed})
    except OSError as error:
        if is_full(error):
            raise storage_full(out, error) from error
        raise SpecError(f"cannot write to {out}: {error}; give another --out") from error
    skipped = ("done", "diverged") if retry_failed else ENDED
    jobs = [
        Job(cell, trainer_name(checked.spec.task, cell.model), _error_text(cell) if retry_failed else None)
        for cell, state in zip(checked.cells, checked.states, strict=True)
        if state.phase not in skipped
    ]
    with watching(checked, say):
        run_jobs(jobs, checked.spec.engine)
    return sum(state.phase == "failed" for state in checked.states)


def _error_text(cell: Cell) -> str | None:
    path = cell.folder / "error.json"
    return path.read_text(encoding="utf-8") if path.exists() else None
