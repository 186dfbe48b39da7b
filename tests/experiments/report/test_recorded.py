"""A whole report of made rows, word for word: tables, sentences, facts, what each plot draws, README's table.

Written anew by `pytest --update-recorded`; read the difference before it is committed.
"""

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.evidence.masks import CrackImages
from experiments.evidence.scores import score_subsets
from experiments.report.comparison import compare
from experiments.report.figures.draw import PLOTS, Picture
from experiments.report.figures.intervals import intervals
from experiments.report.forms.document import document
from experiments.report.forms.render import latex, markdown
from experiments.report.forms.table_csv import csv_table
from experiments.report.published.results import BEGIN, END, stale_files
from experiments.report.rows import Run, read_run
from experiments.statistics.interval import image_samples
from segplug.metrics import AllMetrics
from tests.conftest import Recorded

COSTS = ["params", "flops", "latency_ms", "training", "peak_memory_bytes"]
SHOWN = ["metric", "iou_crack", "hd95_px", "one_mask_empty", "AP of cat", *COSTS]
SPEC = """\
name: made-segment
task: segment
models: [base, plug_in, broken, wide, tuned, plug_in-narrow, tuned-fresh]
datasets: {data: {path: data, groups: 'wall[0-9]'}}
seeds: [0, 1, 2]
budget: {epochs: 2, imgsz: 64, batch: 4}
margin: 0.02
expect: [plug_in better than base, wide better than base]
"""
SETTINGS: dict[str, Any] = {
    "budget": {"epochs": 2, "imgsz": 64, "batch": 4, "device": "cpu", "precision": "bf16"},
    "options": {"lr0": 0.01, "mosaic": 0},
}
DIVERGED = SETTINGS | {
    "diverged": True,
    "schema": 2,
    "cost": {},
    "method": {},
    "files": {},
    "per_class": {},
    "errors": {},
}
NARROW = {"model": "base", "matched_to": "plug_in"}
FRESH = {"model": "base", "init": "base.pt", "fresh_as": "tuned"}
INIT = {"file": "base.pt", "fresh": 120, "params": 3000, "preserve": True}
MODELS: dict[str, tuple[int, dict[str, Any]]] = {  # rows that the line is found too low, and what its rows say
    "base": (3, {}),
    "plug_in": (1, {"params": 3_100_000, "latency_ms": 10.0}),
    "wide": (3, {"params": 3_900_000, "flops": 9_000_000_000, "latency_p90_ms": 30.0, "latency_ms": 20.0}),
    "tuned": (3, {"model": {"model": "tuned", "init": "base.pt"}, "init": INIT, "latency_ms": 9.0}),
    "plug_in-narrow": (2, {"model": NARROW, "matched": {"by": "params", "off": 0.004}}),
    "tuned-fresh": (2, {"model": FRESH, "init": INIT | {"preserve": False}}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.report.resampled.image_samples", partial(image_samples, samples=60))


def found_cracks(seed: int, shift: int) -> AllMetrics:
    """Two crops of each of six walls; each line is found about `shift` rows too low."""
    rng, total = np.random.default_rng(seed), AllMetrics()
    for image in range(12):
        truth = np.zeros((24, 32), dtype=np.uint8)
        truth[8 : 12 + image // 2] = 1
        probability = np.roll(truth, shift + int(rng.integers(-1, 2)), axis=0) * 0.9
        total.add(f"wall{image // 2}_{image}", probability, truth, (probability * 255).astype(np.uint8), truth > 0)
    return total


@pytest.fixture
def run(tmp_path: Path, make_row: Any) -> Run:
    folder = tmp_path / "made"
    for place, (label, (shift, said)) in enumerate(MODELS.items()):
        for seed in range(3):
            total = found_cracks(seed + 10 * place, shift)
            train = {
                "epochs": 2,
                "images_per_epoch": 9,
                "seconds": 60.0 + 30 * seed,
                "peak_memory_bytes": 2e9 + seed * 1e9,
            }
            method = {
                "start": "random start",
                "chosen_on": "val",
                "chosen_by": "IoU",
                "epoch": 1 + seed,
                "split": "val",
            }
            changes: dict[str, Any] = SETTINGS | {"train": train, "schema": 2, "method": method | {"scored": "val"}}
            changes["errors"] = {"iou_crack": 0.5, "missed": 0.1 * shift + seed / 100, "too_wide": 0.02}
            changes |= {key: value for key, value in said.items() if key in ("init", "model", "matched")}
            cell = make_row(folder, label, seed, task="segment", changes=changes, **total.scores())
            total.contributions().save(cell / "per_image.npz")
            row = json.loads((cell / "row.json").read_text())
            row["cost"] |= {key: value for key, value in said.items() if key in row["cost"]}
            row["subsets"] = score_subsets(CrackImages(cell / "per_image.npz"), {"fresh": ["wall0_0", "wall1_3"]})
            row["files"]["contributions"] = "per_image.npz"
            (cell / "row.json").write_text(json.dumps(row))
            curves = [f"{epoch},{2 / epoch + seed / 10},{0.1 * epoch + place / 20 + seed / 50}" for epoch in (1, 2, 3)]
            (cell / "train" / "curves.csv").write_text("\n".join(["epoch,train_loss,val_iou_crack", *curves, ""]))
    make_row(folder, "broken", task="segment", changes=DIVERGED)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "spec.json").write_text(json.dumps({"committed": "2025-12-31T22:00:00+02:00"}))
    return read_run(folder)


def test_text_and_tables(run: Run, recorded: Recorded) -> None:
    drawn = [{name: Picture(b"light", b"dark", b"png") for name in ("verdict", "loss")}]
    content = document([run], compare([run]), drawn)
    recorded("report.md", markdown(content))
    recorded("table.tex", "".join(latex(content).partition("\\end{table}")[:2]))


def test_csv(run: Run, recorded: Recorded) -> None:
    """Metrics of each unit, a class, costs; numbers to six figures."""
    lines = [line for line in csv.reader(io.StringIO(csv_table(compare([run])))) if line[7] in SHOWN]
    recorded("table.csv", "\n".join(",".join(map(_short, line)) for line in lines) + "\n")


def _short(text: str) -> str:
    try:
        return f"{round(float(text), 9):.6g}"
    except ValueError:
        return text


def test_published_pages(run: Run, recorded: Recorded) -> None:
    results = run.folder.parent
    readme, page = results / "README.md", results / "results.md"
    readme.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    stale_files(results, page, readme, check=False)
    recorded("README.md", readme.read_text(encoding="utf-8"))
    recorded("results.md", page.read_text(encoding="utf-8"))


def test_plots(run: Run, make_row: Any, tmp_path: Path, recorded: Recorded) -> None:
    """The classes' of detections, as segmentation has none."""
    for label, (shift, _) in MODELS.items():
        classes = {f"class {k}": 0.5 - 0.01 * k * shift for k in range(4)}
        make_row(tmp_path / "boxes", label, AP=0.3, changes={"per_class": classes})
    drawn: dict[str, Any] = {}
    for folder, names in ((run.folder, set(PLOTS) - {"classes"}), (tmp_path / "boxes", {"classes"})):
        (comparison,) = compare([read_run(folder)])
        known = intervals(comparison)
        figures = {name: PLOTS[name][0](comparison, known) for name in sorted(names)}
        drawn |= {name: artists(figure) for name, figure in figures.items() if figure is not None}
    lines = [
        f"{name} {part} {json.dumps(item, ensure_ascii=False)}"
        for name, parts in drawn.items()
        for part, items in parts.items()
        for item in items
    ]
    recorded("plots.txt", "\n".join(lines) + "\n")


def artists(figure: Figure) -> dict[str, Any]:
    """What is drawn where, in which colour; numbers to four figures."""
    (axes,) = figure.axes
    lines = [
        [str(line.get_label()), line.get_xydata(), to_hex(line.get_color()), str(line.get_marker()),
         line.get_markersize(), line.get_linestyle(), line.get_linewidth(), line.get_alpha(), line.get_zorder()]
        for line in axes.lines
    ]  # fmt: skip
    spans = [
        [[path.vertices for path in found.get_paths()], [to_hex(c, keep_alpha=True) for c in found.get_edgecolor()],
         [to_hex(c, keep_alpha=True) for c in found.get_facecolor()], found.get_linewidth()]
        for found in axes.collections
    ]  # fmt: skip
    return _plain(
        {
            "inches": figure.get_size_inches(),
            "limits": [axes.get_xlim(), axes.get_ylim()],
            "named": [axes.get_xlabel(), axes.get_ylabel(), axes.xaxis.label.get_horizontalalignment()],
            "ticks": [
                axes.get_xticks(),
                [tick.tick1line.get_markersize() for tick in axes.yaxis.get_major_ticks()[:1]],
            ],
            "grid": [axis.get_gridlines()[0].get_visible() for axis in (axes.xaxis, axes.yaxis)],
            "rows": [(tick.get_position()[1], tick.get_text()) for tick in axes.get_yticklabels()],
            "legend": [text.get_text() for legend in figure.legends for text in legend.get_texts()],
            "lines": lines,
            "spans": spans,
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return float(f"{round(value, 7):.4g}") if isinstance(value, float) else value
