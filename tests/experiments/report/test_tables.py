"""What single cells of the tables say: digits, percentages, sizes; and the report opened."""

import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from experiments.cli import main
from experiments.report.comparison import compare
from experiments.report.facts import environment_facts
from experiments.report.rows import read_run
from experiments.report.tables.cost import cost_table
from experiments.report.tables.table import decimals, number, span
from experiments.report.tables.verdicts import verdict_table
from experiments.statistics import Interval


@pytest.mark.parametrize(
    ("low", "high", "places"),
    [
        (-0.096, -0.018, 2),  # half .039: one digit
        (-0.045, 0.009, 3),  # half .027: two
        (-0.0354, 0.0354, 3),
        (-0.0356, 0.0356, 2),
        (-0.094, -0.002, 3),  # the end beside 0 shows that it is not 0
        (-0.00019, 0.00019, 4),
        (-0.9, 0.9, 1),
        (-5.0, 5.0, 1),
        (0.1, 0.1, 3),
        (None, None, 3),
    ],
)
def test_digits_that_an_interval_deserves(low: float | None, high: float | None, places: int) -> None:
    assert decimals(low, high) == places


def test_numbers_beside_their_interval() -> None:
    interval = Interval(-0.0571, -0.0963, -0.0179, 9, 0.01, 9)
    assert (number(-0.0571, interval, "+"), span(interval, "+")) == ("-0.06", "[-0.10, -0.02]")
    assert number(0.4512) == number(0.4512, "no interval") == "0.451"


def made(tmp_path: Path, make_row: Any, params: int, flops: int) -> Any:
    make_row(tmp_path, "base", AP=0.4)
    row = json.loads((make_row(tmp_path, "plug_in", AP=0.4) / "row.json").read_text())
    row["cost"] |= {"params": params, "flops": flops}
    (tmp_path / "cells" / "plug_in-data-s0" / "row.json").write_text(json.dumps(row))
    (comparison,) = compare([read_run(tmp_path)])
    return comparison


def test_costs_are_said_in_per_cent_of_the_baseline(tmp_path: Path, make_row: Any) -> None:
    lines = cost_table(made(tmp_path, make_row, 4_500_000, 6_000_000_000)).rows
    assert [(e.value, e.small) for e in lines[0][1:3]] == [("3.00", ""), ("8.00", "")]
    assert [(e.value, e.small) for e in lines[1][1:3]] == [("4.50", "+50.0 %"), ("6.00", "-25.0 %")]


def test_memory_is_the_highest_of_the_seeds(tmp_path: Path, make_row: Any) -> None:
    train = {"epochs": 2, "images_per_epoch": 9, "seconds": 90.0}
    for seed, peak in enumerate((1_000_000_000, 2_500_000_000)):
        make_row(tmp_path, "base", seed, AP=0.4, changes={"train": train | {"peak_memory_bytes": peak}})
    make_row(tmp_path, "plug_in", AP=0.4)
    (comparison,) = compare([read_run(tmp_path)])
    table = cost_table(comparison)
    assert table.columns[-1] == "Memory, GB" and [row[-1].value for row in table.rows] == ["2.50", "-"]
    assert [row[0].small for row in table.rows] == ["baseline", ""]


def test_a_difference_is_shown_where_it_cannot_be_judged(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    make_row(tmp_path, "plug_in", AP=0.43)
    (comparison,) = compare([read_run(tmp_path)])
    assert [entry.value for entry in verdict_table(comparison).rows[1][3:]] == [
        "+0.030", "-", "-", "-", "insufficient evidence",
    ]  # fmt: skip


def test_where_rows_come_from(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    (comparison,) = compare([read_run(tmp_path)])
    assert environment_facts(list(comparison.rows)) == [
        ("Commit", "c0ffee"),
        ("Python", "3.11"),
        ("Packages", "torch 2.9"),
        ("Machine", "a processor, 2 cores, Linux"),
        ("Device", "cpu, 1 threads"),
    ]


@pytest.mark.parametrize(
    ("params", "said"), [(750_000, "seed 0; unequal budget: 0.25 x the baseline's parameters"), (3_030_000, "seed 0")]
)
def test_an_unequal_size_is_said_in_the_line(tmp_path: Path, make_row: Any, params: int, said: str) -> None:
    table = verdict_table(made(tmp_path, make_row, params, 1))
    assert table.rows[1][0].small == said and table.rows[0][0].small == "baseline, seed 0"


def test_a_file_that_is_a_little_off_its_row_is_refused(tmp_path: Path, make_row: Any) -> None:
    """A ten-thousandth is another evaluation, a billionth is another machine; the limit is a millionth."""
    from experiments.evidence.masks import CrackImages
    from experiments.report.resampled import Resampled
    from tests.experiments.spec.test_photos import cracks

    total = cracks(0, 1)
    for off, refused in ((1e-4, True), (1.5e-6, True), (5e-7, False), (1e-9, False)):
        scores = total.scores() | {"iou_crack": total.scores()["iou_crack"] + off}
        files = {"contributions": "per_image.npz"}
        cell = make_row(tmp_path / str(off), "base", task="segment", changes={"files": files}, **scores)
        total.contributions().save(cell / "per_image.npz")
        row, images = json.loads((cell / "row.json").read_text()), CrackImages(cell / "per_image.npz")
        if refused:
            with pytest.raises(Exception, match="its per-image file gives iou_crack"):
                Resampled().of(row, images)
        else:
            assert Resampled().of(row, images) is not None


def test_open_shows_the_page(
    tmp_path: Path, make_row: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_row(tmp_path, "base", AP=0.4)
    shown: list[str] = []
    monkeypatch.setattr("experiments.report.write.draw_plots", lambda comparison: {})
    monkeypatch.setattr(webbrowser, "open", lambda address: not shown.append(address))
    assert main(["report", str(tmp_path), "--open"]) == 0
    assert shown == [(tmp_path / "report.html").resolve().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert main(["report", str(tmp_path), "--open"]) == 2
    assert "no browser to open the report with" in capsys.readouterr().err
