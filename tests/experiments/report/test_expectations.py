"""Whether what was expected was said before the first cell started."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from experiments.cells.record import commit_time
from experiments.report.comparison import compare
from experiments.report.rows import read_run
from experiments.report.tables.sentences import expectations

SPEC = """\
name: made-detect
task: detect
models: [base.yaml, plug_in.yaml]
datasets: {data: data}
seeds: [0]
budget: {epochs: 2, imgsz: 64, batch: 4}
expect: [plug_in better than base]
"""


@pytest.mark.parametrize(
    ("committed", "said"),
    [
        ("2026-01-01T10:00:00+02:00", "committed 2026-01-01 08:00 UTC; the first cell started 2026-01-01 09:00 UTC."),
        ("2026-01-01T12:00:00+00:00", "first cell started 2026-01-01 09:00 UTC, before that."),
        (None, "The spec was not committed when it was run; the first cell started 2026-01-01 09:00 UTC."),
    ],
)
def test_commit_beside_start(tmp_path: Path, make_row: Any, committed: str | None, said: str) -> None:
    for label, hour in (("base", "10"), ("plug_in", "09")):
        make_row(tmp_path, label, AP=0.4, changes={"started": f"2026-01-01T{hour}:00:00+00:00"})
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "spec.json").write_text(json.dumps({"committed": committed}))
    outcome, when = expectations(compare([read_run(tmp_path)])[0])
    assert outcome == "Expected: plug_in better than base. Undecided: insufficient evidence (1 shared seed, 3 needed)."
    assert when.endswith(said)


def test_nothing_expected_nothing_said(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    assert expectations(compare([read_run(tmp_path)])[0]) == []


def test_commit_time_is_that_of_the_text_as_it_is(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("a: 1\n")
    assert commit_time(spec) is None

    def git(*arguments: str) -> None:
        own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *own, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    assert commit_time(spec) is None
    git("add", "spec.yaml")
    git("commit", "-m", "spec", "--date", "2020-01-01T00:00:00Z")
    assert str(commit_time(spec)).startswith("20")
    spec.write_text("a: 2\n")
    assert commit_time(spec) is None
