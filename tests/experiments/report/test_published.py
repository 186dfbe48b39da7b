"""README shows the committed rows; the command that writes it refuses what it cannot vouch for."""

import csv
from pathlib import Path
from typing import Any

import pytest

from experiments.cli import main
from experiments.errors import SpecError
from experiments.report.comparison import compare
from experiments.report.forms.table_csv import csv_table
from experiments.report.published.results import BEGIN, END, MOST_ROWS, stale_files
from experiments.report.rows import read_run
from experiments.run.keep import keep
from tests.experiments.report.test_verdicts import detection_cell


@pytest.fixture
def results(tmp_path: Path, make_row: Any) -> Path:
    """One committed comparison with its table.csv."""
    make_row(tmp_path / "a", "base", AP=0.4, AP50=0.6)
    make_row(tmp_path / "a", "plug_in", AP=0.43, AP50=0.61)
    write_table(tmp_path)
    return tmp_path


def write_table(results: Path) -> None:
    (results / "table.csv").write_text(csv_table(compare([read_run(results / "a")])))


def arguments(readme: Path, results: Path) -> list[str]:
    return ["results", "--readme", str(readme), "--results", str(results), "--page", str(results / "results.md")]


def results_block(results: Path) -> str:
    """The page, of a repository whose README has the markers."""
    readme, page = results / "README.md", results / "results.md"
    if not readme.exists():
        readme.write_text(f"{BEGIN}\n{END}\n")
    stale_files(results, page, readme, check=False)
    return page.read_text()


def test_this_repository_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "--check"]) == 0, capsys.readouterr()


def test_values_cost_and_verdict(results: Path) -> None:
    lines = [line for line in results_block(results).splitlines() if line.startswith("|")]
    assert lines[2] == (
        "| data val, 64 px | base (baseline) | COCO AP 0.400, AP50 0.600 | - | - | 3.00 M | 8.00 | 12.5 |"
    )
    verdict = "insufficient evidence (1 shared seed, 3 needed)"
    assert lines[3] == f"|  | plug_in | COCO AP 0.430, AP50 0.610 | +0.030 | {verdict} | 3.00 M | 8.00 | 12.5 |"


def change(results: Path, model: str = "plug_in", **known: str) -> None:
    """Of the model's line of AP."""
    table = results / "table.csv"
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    lines = [line | known if (line["model"], line["metric"]) == (model, "AP") else line for line in lines]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def test_intervals_come_from_the_table(results: Path) -> None:
    change(results, difference_low="0.01", difference_high="0.05", verdict="better", reason="", detectable="0.02")
    assert "| +0.030 [+0.010, +0.050] | better |" in results_block(results)


def test_what_could_have_been_found_stands_beside_too_little_evidence(results: Path) -> None:
    change(results, difference_low="-0.01", difference_high="0.07", reason="why not", detectable="0.0512")
    assert "| +0.03 [-0.01, +0.07] | insufficient evidence (why not; detectable: 0.05) |" in results_block(results)


def test_intervals_by_image_are_refused_where_the_spec_names_photos(results: Path) -> None:
    spec = """name: made-detect
task: detect
models: [base.yaml, plug_in.yaml]
datasets: {data: {path: data, groups: 'a'}}
seeds: [0]
budget: {epochs: 2, imgsz: 64, batch: 4}
"""
    (results / "a" / "spec.yaml").write_text(spec)
    with pytest.raises(SpecError, match=r"its spec names groups, but table\.csv was made from images, not photos"):
        results_block(results)
    change(results, drawn="3 photos")
    assert " Intervals drew 3 photos." in results_block(results)


def test_controls_stand_below(results: Path, make_row: Any) -> None:
    model = {"model": "base", "matched_to": "plug_in", "by": "params"}
    make_row(results / "a", "base-as-plug_in-params", AP=0.41, changes={"model": model})
    write_table(results)
    said = "COCO AP against controls: plug_in against base-as-plug_in-params +0.020, insufficient evidence"
    assert said in results_block(results)


def test_which_block_says_what_rows_show(results: Path, make_row: Any) -> None:
    """Of blocks in rows; one better than stock is what to start with, a control is none."""
    for label, yaml, more in (
        ("good", "yolov8n-C2f_DBB.yaml", {}),
        ("part", "yolov8n-C2f_DBB-neck.yaml", {}),
        ("control", "yolov8n-C2f_DCNv2.yaml", {"matched_to": "good"}),
    ):
        make_row(results / "a", label, AP=0.45, changes={"model": {"model": yaml, **more}})
    write_table(results)
    results_block(results)
    page = (results / "which-block.md").read_text()
    assert "Of 1 blocks in 2 comparisons with stock, none was shown to help" in page and "Found: 2 undecided." in page
    assert "| DBB (neck) | data, random, 2 | +0.050 |" in page
    assert "| DBB | data, random, 2 | +0.050 | - | - | insufficient evidence | - | 1.00 | 1.00 |\n" in page
    assert ", DCNv2, " in page.split("no advice: ")[1] and ", DBB, " not in page
    known = {"difference_low": "0.01", "difference_high": "0.09", "verdict": "better", "detectable": "0.03"}
    change(results, "good", **known)
    results_block(results)
    page = (results / "which-block.md").read_text()
    assert "with stock, start with DBB. Found: 1 better, 1 undecided." in page
    assert "| DBB | data, random, 2 | +0.05 | +0.01 | +0.09 | better | 0.03 | 1.00 | 1.00 |\n" in page


def test_check_writes_nothing(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "TOP.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main([*arguments(readme, results), "--check"]) == 1 and "old" in readme.read_text()
    assert "run: python -m experiments results" in capsys.readouterr().out
    assert main(arguments(readme, results)) == 0
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n| Data") and text.endswith(f"\n{END}\nafter\n") and "old" not in text
    assert main([*arguments(readme, results), "--check"]) == 0
    assert main(arguments(readme, results)) == 0 and readme.read_text() == text


def test_a_table_that_does_not_belong_to_the_rows(results: Path, make_row: Any) -> None:
    make_row(results / "a", "third", AP=0.5)
    with pytest.raises(SpecError, match=r"does not belong to the rows .*third.*experiments keep"):
        results_block(results)
    write_table(results)
    assert "third" in results_block(results)
    (results / "table.csv").write_text("model,mean\na,1\n")
    with pytest.raises(SpecError, match="not a table that `report` writes"):
        results_block(results)
    (results / "table.csv").unlink()
    with pytest.raises(SpecError, match="is missing, and some rows have no per-image files; commit what"):
        results_block(results)


@pytest.mark.parametrize("text", ["nothing", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}{END}{BEGIN}{END}"])
def test_markers_must_be_there_once(results: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    readme = results / "README.md"
    readme.write_text(text)
    assert main(arguments(readme, results)) == 2
    assert "must hold once, in this order" in capsys.readouterr().err and readme.read_text() == text


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no results"):
        results_block(tmp_path)
    assert main(arguments(tmp_path / "absent.md", tmp_path)) == 2


def test_rows_with_their_files_need_no_table(tmp_path: Path, make_row: Any) -> None:
    """A table.csv that says otherwise is written again."""
    for label, found in (("base", 0.5), ("finder", 0.9)):
        for seed in range(3):
            detection_cell(make_row, tmp_path / "run", label, seed, found)
    results = tmp_path / "results"
    keep(tmp_path / "run", results / "a")
    text, table = results_block(results), results / "table.csv"
    assert "| better |" in text and table.read_text() == csv_table(compare([read_run(results / "a")]))
    table.write_text("name,better\na,0\n")
    assert stale_files(results, results / "results.md", results / "README.md", check=True) == [table]


def test_readme_has_few_rows_by_rule(tmp_path: Path, make_row: Any) -> None:
    """The baseline, the model furthest above and the one furthest below; of one data set the longest training."""
    for name, epochs in (("a", 2), ("b", 9)):
        for label, value in (("base", 0.4), ("high", 0.6), ("middle", 0.5), ("low", 0.3)):
            budget = {"epochs": epochs, "imgsz": 64, "batch": 4, "device": "cpu", "workers": 0, "threads": 1}
            make_row(tmp_path / name, label, AP=value + epochs / 1000, changes={"name": name, "budget": budget})
    (tmp_path / "table.csv").write_text(csv_table(compare([read_run(tmp_path / name) for name in "ab"])))
    results_block(tmp_path)
    rows = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("|")][2:]
    assert [row.split("|")[2].strip() for row in rows] == ["base (baseline)", "high", "low"]
    assert "COCO AP 0.409" in rows[0] and len(rows) <= MOST_ROWS
