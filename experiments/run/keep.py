"""A finished run made small enough to be committed, from which its report and statistics are repeated."""

import shutil
from pathlib import Path

from experiments.cells.row import read_row
from experiments.errors import SpecError
from experiments.evidence import evidence_of
from experiments.evidence.compact import COMPACT
from experiments.tasks import TASKS


def keep(run: Path, to: Path) -> int:
    """Copy spec, rows and curves of every finished cell, and write what its images add to the metrics; bytes in all.

    Raises SpecError without a finished cell, and where a cell's per-image files are gone.
    """
    rows = {path.parent: read_row(path) for path in sorted((run / "cells").glob("*/row.json"))}
    if not rows:
        raise SpecError(f"{run} holds no finished cell (cells/*/row.json); run the spec first")
    if to.resolve() == run.resolve():
        raise SpecError(f"{to} is the run itself; give another folder")
    for name in ("spec.yaml", "spec.json"):
        if (run / name).exists():
            to.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, to / name)
    for folder, row in rows.items():
        place = to / "cells" / folder.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "row.json", place / "row.json")
        curves = row["files"].get("curves")
        if curves and (folder / curves).is_file():
            (place / curves).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / curves, place / curves)
        if row["diverged"]:
            continue
        images = evidence_of(TASKS[row["task"]]).open_images(row, folder)
        if images is None:
            raise SpecError(f"{folder} lacks its per-image files; delete its row.json and run the spec again")
        images.save_compact(place / COMPACT)
    return sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
