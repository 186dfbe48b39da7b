"""`python -m experiments.modes`: run the cells that have no row yet, and write docs/modes.md."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a forked child has no threads of its parent
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import torch
import ultralytics

import yoloplug
from experiments.modes.cells import latest, ran, write
from experiments.modes.modes import FAMILIES, MODES
from experiments.modes.names import CASES, outcomes, row_names
from experiments.modes.page import page
from experiments.modes.place import IMGSZ, Place, drawn
from yoloplug.files import write_text
from yoloplug.modelfile.file import read as read_model

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "experiments" / "results" / "modes.jsonl"
PAGE = ROOT / "docs" / "modes.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/tmp/yoloplug-modes"), help="folder of data and checkpoints")
    parser.add_argument("--table", choices=["modes", "names"], help="one table only")
    parser.add_argument("--only", nargs="+", metavar="COLUMN", help="these columns: a mode, or 'v8 detect'")
    parser.add_argument("--failed", action="store_true", help="run failed cells again, too")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write the page")
    options = parser.parse_args()
    if not options.page_only:
        options.work.mkdir(parents=True, exist_ok=True)
        rows = latest(ROWS)
        done = {(r["table"], r["row"], r["column"]) for r in rows if not (options.failed and r["failed"])}

        def wanted(column: str) -> bool:
            return not options.only or column in options.only

        if options.table != "names":
            _run_modes(options.work, done, wanted)
        if options.table != "modes":
            _run_names(options.work, done, wanted)
    write_text(PAGE, page(latest(ROWS)))


def _run_modes(work: Path, done: set[tuple[str, str, str]], wanted: Callable[[str], bool]) -> None:
    data, video = drawn(work / "data")
    for mode, run in MODES.items():
        for family, block in FAMILIES.items():
            if ("modes", family, mode) in done or not wanted(mode):
                continue
            folder = work / (block or "stock")
            folder.mkdir(exist_ok=True)
            model = folder / "yolov8n-x.yaml"
            if block:
                text = yoloplug.swap("yolov8n.yaml", {"C2f": f"C2f_{block}"}, "P3", imgsz=IMGSZ).text
            else:
                text = read_model("yolov8n.yaml").text
            model.write_text(text, encoding="utf-8")
            place = Place(folder, data, video, model, block)
            _row("modes", family, mode, ran(partial(_in_one, run, place), folder))


def _in_one(run: Callable[[Place], None], place: Place, stage: Callable[[str], None]) -> None:
    """A mode has one stage."""
    run(place)


def _run_names(work: Path, done: set[tuple[str, str, str]], wanted: Callable[[str], bool]) -> None:
    for case in CASES:
        column = " ".join(case)
        names = [name for name in row_names() if ("names", name, column) not in done]
        if wanted(column) and names:
            for name, outcome in outcomes(case, names, work):
                _row("names", name, column, outcome)


def _row(table: str, row: str, column: str, outcome: dict[str, object]) -> None:
    versions = {"ultralytics": ultralytics.__version__, "torch": torch.__version__, "yoloplug": yoloplug.__version__}
    write(ROWS, {"table": table, "row": row, "column": column, **outcome, **versions})
    print(f"{table} {row} {column}: {outcome['failed'] or 'ok'} {outcome['why']} ({outcome['seconds']} s)", flush=True)


if __name__ == "__main__":
    main()
