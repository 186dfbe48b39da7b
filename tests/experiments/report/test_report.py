"""The report says what the rows say, admits what is missing, and needs no other file."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.report import write_report
from experiments.report.comparison import compare
from experiments.report.facts import method_facts, unfinished
from experiments.report.forms.document import document
from experiments.report.forms.render import latex, markdown
from experiments.report.forms.table_csv import csv_table
from experiments.report.rows import read_run
from experiments.report.tables.cost import cost_table
from experiments.report.tables.quality import quality_table
from experiments.report.tables.sentences import sentences
from experiments.report.tables.verdicts import verdict_table
from segplug.page.render import Entry

SPEC = """\
name: made-detect
task: detect
models: [base.yaml, plug_in.yaml]
datasets: {data: data}
seeds: [0, 1]
budget: {epochs: 2, imgsz: 64, batch: 4}
"""


def test_all_files_and_an_offline_page(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path / "a", "base", AP=0.40, AP50=0.6)
    make_row(tmp_path / "a", "plug_in", AP=0.43, AP50=0.6)
    make_row(tmp_path / "b", "base", task="segment", iou_crack=0.5, f1=0.7)
    make_row(tmp_path / "b", "plug_in", task="segment", iou_crack=0.4, f1=0.6)
    out = tmp_path / "report"
    html = write_report([tmp_path / "a", tmp_path / "b"], out).read_text(encoding="utf-8")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"report.html", "report.md", "table.tex", "table.csv", "plots/1-metrics.png", "plots/2-loss.png"} <= names
    assert not re.search(r'(src|href|srcset)="(?!data:)', html) and "@import" not in html and "url(" not in html
    for said in ("; 1 shared seed, 3 needed.", "insufficient evidence<small>1 shared seed, 3 needed"):
        assert html.count(said) == 2  # in the summary and in the table
    assert "+0.030" in html and "-0.100" in html
    assert "photo &lt;1&gt;.jpg" in html and "<1>" not in html
    for word in (
        "c0ffee",
        "0123456789abcdef",
        "12.5",
        "silu",
        "python -m experiments run",
        "COCOeval",
        "prefers-color",
    ):
        assert word in html
    for plot in (out / "plots").glob("*.png"):
        with Image.open(plot) as picture:
            assert picture.width > 400 and np.asarray(picture.convert("L")).std() > 5
    linked = re.findall(r"\]\((plots/[^)]+)\)", (out / "report.md").read_text(encoding="utf-8"))
    assert linked and all((out / link).is_file() for link in linked)


def test_differences_are_paired_by_seed(tmp_path: Path, make_row: Any) -> None:
    for seed, (base, plug_in) in enumerate(((0.30, 0.33), (0.40, 0.42), (0.50, None))):
        make_row(tmp_path, "base", seed, AP=base)
        if plug_in:
            make_row(tmp_path, "plug_in", seed, AP=plug_in)
    (comparison,) = compare([read_run(tmp_path)])
    assert comparison.labels == ["base", "plug_in"]
    assert comparison.differences("plug_in", "AP") == pytest.approx([0.03, 0.02])
    assert str(comparison.verdicts["plug_in"]) == "insufficient evidence (2 shared seeds, 3 needed)"
    assert quality_table(comparison).caption == "Quality, val, 5 images"
    assert quality_table(comparison).rows[1][:2] == [Entry("plug_in", "seed 0, 1"), Entry("0.375", "+0.025\n± 0.064")]
    make_row(tmp_path, "plug_in", 2, AP=0.45)
    (comparison,) = compare([read_run(tmp_path)])
    assert verdict_table(comparison).rows[1][-1] == Entry("insufficient evidence", "per-image file missing")
    assert verdict_table(comparison).rows[0][1:3] == [Entry("0.400"), Entry("-", "per-image file missing")]
    assert sentences(comparison)[0] == (
        "plug_in and base are not judged: COCO AP 0.400 against 0.400, difference +0.000; per-image file missing."
    )


def test_unequal_data_or_budget_never_share_a_table(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    make_row(tmp_path, "plug_in", AP=0.5, changes={"dataset_hash": "other"})
    budget = {"epochs": 3, "imgsz": 64, "batch": 4, "device": "cpu", "workers": 0, "threads": 1}
    make_row(tmp_path, "third", AP=0.5, changes={"budget": budget})
    make_row(tmp_path, "fourth", AP=0.5, changes={"split": {"val_share": 0.2, "split_seed": 1}})
    labels = [comparison.labels for comparison in compare([read_run(tmp_path)])]
    assert labels == [["base"], ["fourth"], ["plug_in"], ["third"]]
    shutil.rmtree(tmp_path / "cells" / "base-data-s0")
    shutil.rmtree(tmp_path / "cells" / "third-data-s0")
    assert write_report([tmp_path], tmp_path).is_file()  # a comparison without its baseline still has a page


def test_a_method_is_said_once_with_every_chosen_epoch(tmp_path: Path, make_row: Any) -> None:
    for seed, epoch in enumerate((12, 9, 12)):
        method = {"start": "random start", "chosen_on": "val", "chosen_by": "AP", "epoch": epoch, "split": "val"}
        changes = {"schema": 2, "method": method | {"weights": "test is read once"}}
        make_row(tmp_path, "base", seed, AP=0.4, changes=changes)
    changes = {"schema": 2, "method": {"start": "random start", "chosen_on": None, "epoch": 2}}
    make_row(tmp_path, "plug_in", AP=0.4, changes=changes)
    facts = dict(method_facts(compare([read_run(tmp_path)])[0]))
    base = "random start; best AP on val (epoch 9, 12); test is read once"
    assert facts["Weights"] == f"{base} | random start; last epoch (epoch 2)"
    assert facts["Split"] == "val" and facts["Metric"] == "-"


def test_rows_that_name_no_split(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4, changes={"method": {}})
    assert compare([read_run(tmp_path)])[0].split == "no split named"


def test_the_spec_decides_the_baseline(tmp_path: Path, make_row: Any) -> None:
    """A cell that was run under another spec and put here is compared as this folder's spec says."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("[base.yaml, plug_in.yaml]", "[plug_in.yaml, base.yaml]"))
    make_row(tmp_path, "base", AP=0.4, changes={"baseline": "third", "name": "elsewhere"})
    make_row(tmp_path, "plug_in", AP=0.5)
    (comparison,) = compare([read_run(tmp_path)])
    assert comparison.labels == ["plug_in", "base"] and comparison.title == "made-detect on data"
    assert comparison.differences("base", "AP") == pytest.approx([-0.1])


def test_failed_missing_and_diverged_cells_are_said(tmp_path: Path, make_row: Any) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    make_row(tmp_path, "base", 0, AP=0.4)
    changes = {"diverged": True, "cost": {}, "method": {}, "files": {}}
    make_row(tmp_path, "plug_in", 0, changes=changes)
    failed = tmp_path / "cells" / "base-data-s1"
    failed.mkdir()
    (failed / "error.json").write_text(json.dumps({"cell": failed.name, "error": "MemoryError: 4 GB"}))
    run = read_run(tmp_path)
    assert unfinished(run) == ["base-data-s1 failed: MemoryError: 4 GB", "plug_in-data-s1 has no result yet"]
    html = write_report([tmp_path], tmp_path).read_text(encoding="utf-8")
    assert "diverged (NaN)" in html and "MemoryError: 4 GB" in html and "has no result yet" in html
    assert "models: [base.yaml, plug_in.yaml]" in html
    (comparison,) = compare([run])
    assert cost_table(comparison).rows[1][1].value == "-"


def test_a_diverged_baseline_is_marked_on_all_images_and_on_parts(tmp_path: Path, make_row: Any) -> None:
    part = {"images": 3, "excluded": [], "metrics": {"AP": 0.4}}
    for seed in range(3):
        make_row(tmp_path, "plug_in", seed, AP=0.5, changes={"subsets": {"part": part}})
    for seed in (1, 2):
        make_row(tmp_path, "base", seed, AP=0.4, changes={"subsets": {"part": part}})
    make_row(tmp_path, "base", 0, changes={"diverged": True, "cost": {}, "method": {}, "files": {}})
    (comparison,) = compare([read_run(tmp_path)])
    assert comparison.split == "val, 5 images"
    (subset,) = comparison.subsets
    for found in (comparison, subset):
        table = verdict_table(found)
        assert table.rows[0][0].small == "baseline, seed 0 (NaN), 1, 2"
        assert table.rows[1][-1] == Entry("insufficient evidence", "base diverged")
    assert subset.split == "val, 5 images; part: 3 of them"


def test_rows_alone_still_make_a_report(tmp_path: Path, make_row: Any) -> None:
    """As committed results are: no curves, no pictures, cost measured again elsewhere."""
    again = {"measured": "2026-02-02T03:04:05+00:00", "commit": "beef", "dirty": True}
    for label in ("base", "plug_in"):
        cell = make_row(tmp_path, label, AP=0.4, changes={"cost_environment": again})
        shutil.rmtree(cell / "train")
    shutil.rmtree(tmp_path / "pictures")
    (tmp_path / "report" / "plots").mkdir(parents=True)
    (tmp_path / "report" / "plots" / "3-loss.svg").write_text("of an earlier report")
    html = write_report([tmp_path], tmp_path / "report").read_text(encoding="utf-8")
    assert "Training loss" not in html and "Best and worst" not in html and "2026-02-02, commit beef, with" in html
    drawn = {path.stem for path in (tmp_path / "report" / "plots").iterdir()}
    assert drawn == {f"1-{name}" for name in ("verdict", "metrics", "classes", "latency", "parameters", "errors")}
    assert "loss.png" not in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


def test_unsteady_latency_is_marked(tmp_path: Path, make_row: Any) -> None:
    cell = make_row(tmp_path, "base", AP=0.4)
    row = json.loads((cell / "row.json").read_text())
    row["cost"]["latency_p90_ms"] = 30.0
    (cell / "row.json").write_text(json.dumps(row))
    (comparison,) = compare([read_run(tmp_path)])
    assert cost_table(comparison).rows[0][3].small == "12.0 to 30.0, unsteady"


def test_seeds_that_were_timed_beside_other_work_are_marked(tmp_path: Path, make_row: Any) -> None:
    for seed in (0, 9):  # latency 12.5 and 21.5 ms: 17.0 in the middle
        make_row(
            tmp_path,
            "base",
            seed,
            AP=0.4,
            changes={"train": {"epochs": 2, "images_per_epoch": 9, "seconds": 60 + 60 * seed}},
        )
    (comparison,) = compare([read_run(tmp_path)])
    cells = cost_table(comparison).rows[0]
    assert cells[3].value == "17.0" and cells[3].small == "12.0 to 14.0, unsteady;\nseeds 12.5 to 21.5"
    assert (cells[4].value, cells[4].small) == ("5.5", "1.0 to 10.0")


def test_csv_is_long_and_exact(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.123456789)
    make_row(tmp_path, "plug_in", AP=0.2)
    table = list(csv.DictReader(io.StringIO(csv_table(compare([read_run(tmp_path)])))))
    found = {(line["model"], line["metric"]): line for line in table}
    assert float(found["base", "AP"]["mean"]) == 0.123456789
    assert float(found["plug_in", "AP"]["difference"]) == pytest.approx(0.2 - 0.123456789)
    assert found["base", "AP"]["difference"] == "" and found["base", "AP_S"]["mean"] == ""
    assert found["plug_in", "AP"]["verdict"] == "insufficient evidence"
    assert found["plug_in", "AP"]["reason"] == "1 shared seed, 3 needed"
    assert float(found["base", "AP of cat"]["mean"]) == 0.4 and found["base", "AP"]["low"] == ""
    assert found["base", "latency_ms"]["unit"] == "ms" and float(found["base", "latency_ms"]["mean"]) == 12.5


def test_latex_is_escaped_and_balanced(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    make_row(tmp_path, "plug_in", 0, AP=0.5)
    text = latex(document([], compare([read_run(tmp_path)]), [{}]))
    assert r"plug\_in" in text and not re.search(
        r"(?<!\\)[_%#&](?![^\n]*\\\\)", text.replace("% needs", "").replace("{%\n", "")
    )
    for environment in ("table", "tabular"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}") == 5
    for block in re.findall(r"\\begin\{tabular\}\{(lr*)\}(.*?)\\end\{tabular\}", text, re.S):
        lines = [line for line in block[1].splitlines() if line.endswith("\\\\")]
        assert {line.count(" & ") for line in lines} == {len(block[0]) - 1}
    assert text.isascii()


def test_markdown_tables_are_rectangular(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    make_row(tmp_path, "plug_in", AP=0.5)
    runs = [read_run(tmp_path)]
    lines = [line for line in markdown(document(runs, compare(runs), [{}])).splitlines() if line.startswith("|")]
    assert len(lines) == 20 and all(len({line.count("|") for line in lines[k : k + 4]}) == 1 for k in range(0, 20, 4))
