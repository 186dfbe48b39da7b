"""The table of kernels says what the file says, and whether a target is met; without kernels nothing is measured."""

from __future__ import annotations

import shutil
import sys

import pytest

from experiments.speed import kernels, results
from yoloplug import native

ROWS = [
    {"case": "DDF", "mode": "forward", "target": None, "share": 0.5, "of_torch": 0.5, "of_conv": 0.7}
    | {"kernels_ms": 9.6, "kernels_least_ms": 9.0},
    {
        "case": "DDF",
        "mode": "forward + backward",
        "target": [1.0, "of a Conv"],
        "share": 0.25,
        "of_torch": 0.5,
        "of_conv": 1.01,
    }
    | {"kernels_ms": 40.0, "kernels_least_ms": 38.0},
    {"case": "SCSegamba 512", "mode": "forward", "target": [0.8, "s"], "share": 0.12, "of_torch": 0.25}
    | {"kernels_ms": 799.0, "kernels_least_ms": 790.0},
]


def test_a_row_tells_whether_its_target_is_met() -> None:
    assert results.kernels_table(ROWS)[2:] == [
        "| DDF | forward | 0.50 | 0.70 | 10 (9) | 50% |  |",
        "| DDF | forward + backward | 0.50 | 1.01 | 40 (38) | 25% | 1.0 of a Conv: not met |",
        "| SCSegamba 512 | forward | 0.25 |  | 799 (790) | 12% | 0.8 s: met |",
    ]


def test_the_page_is_what_the_files_give(tmp_path, monkeypatch) -> None:
    shutil.copy(results.PAGE, tmp_path)
    monkeypatch.setattr(results, "PAGE", tmp_path / "speed.md")
    committed = results.PAGE.read_text("utf-8")
    results.write_page()
    assert results.PAGE.read_text("utf-8") == committed


def test_measures_a_block_beside_torch_and_a_conv() -> None:
    forward, training = kernels.measure("DynamicFilter", 1)
    assert forward["target"] is None and training["target"] == (1.0, "of a Conv")
    for row in (forward, training):
        assert 0 < row["of_torch"] and 0 < row["of_conv"] and row["kernels_least_ms"] <= row["kernels_ms"]


def test_refuses_to_compare_torch_with_itself(monkeypatch, capsys) -> None:
    monkeypatch.setattr(native, "status", lambda: native.Status(None, "no compiler"))
    monkeypatch.setattr(sys, "argv", ["kernels"])
    with pytest.raises(SystemExit) as stopped:
        kernels.main()
    assert stopped.value.code == 1 and "not in use, no compiler" in capsys.readouterr().out
