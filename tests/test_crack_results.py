"""docs/crack-results.md holds the tables of docs/crack_scores.csv, and those say what the scores say."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("crack_results", DOCS / "crack_results.py")
assert _spec and _spec.loader
crack_results = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(crack_results)


def test_the_page_holds_the_tables_of_the_scores() -> None:
    assert crack_results.main(["--check"]) == 0, "run python docs/crack_results.py"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two seeds of one model on deepcrack, one on unseen, and a page with marks for both."""
    metrics = dict.fromkeys([*crack_results.OWN, *crack_results.PROTOCOL], 0.5)
    for seed, iou in enumerate((0.6, 0.8)):
        cell = tmp_path / "run" / "cells" / f"m-s{seed}"
        cell.mkdir(parents=True)
        part = {"images": 1, "metrics": metrics | {"iou_crack": 0.1}}
        row = {"dataset": "deepcrack", "label": "m", "seed": seed, "metrics": metrics | {"iou_crack": iou}}
        best = {"best_on_test": {"metrics": metrics | {"iou_crack": 0.9}}} if seed else {}
        (cell / "row.json").write_text(json.dumps(row | {"subsets": {"part": part}} | best))
    unseen = tmp_path / "unseen" / "other" / "m-s1"
    unseen.mkdir(parents=True)
    (unseen / "scores.json").write_text(json.dumps({"metrics": metrics | {"iou_crack": 0.25}}))
    came = tmp_path / "unseen" / "photos" / "came-s0"
    came.mkdir(parents=True)
    alarms = {"false_alarm_share": 0.002, "false_line_px": 41.6}
    both = {"metrics": metrics | {"iou_crack": 0.25} | alarms, "without": {"metrics": metrics | {"iou_crack": 0.15}}}
    (came / "scores.json").write_text(json.dumps(both))
    marks = ["deepcrack", "deepcrack protocol", "deepcrack-part", "deepcrack-part protocol", "distance", "other"]
    page = tmp_path / "page.md"
    page.write_text("\n".join(f"<!-- begin: {mark} -->\n<!-- end: {mark} -->" for mark in [*marks, "other protocol"]))
    monkeypatch.setattr(crack_results, "PAGE", page)
    monkeypatch.setattr(crack_results, "SCORES", tmp_path / "scores.csv")
    shipped = tmp_path / "shipped.md"
    shipped.write_text("<!-- begin: came -->\n<!-- end: came -->")
    monkeypatch.setattr(crack_results, "SHIPPED_PAGE", shipped)
    monkeypatch.setattr(crack_results, "SHIPPED", {"came"})
    return tmp_path


def test_mean_and_deviation_over_seeds(folders: Path) -> None:
    assert crack_results.main([str(folders / "run"), str(folders / "unseen")]) == 0
    page = (folders / "page.md").read_text()
    assert "| m | 0, 1 | .700 ± .141 | .500 ± .000 |" in page  # deepcrack
    assert "| m | 0, 1 | .100 ± .000 |" in page and "| m | 1 | .250 | .500 |" in page  # its part, and the unseen set
    assert "| m (epoch best on test, as published) | 1 | .900 | .500 |" in page
    assert "- m: F1 .500 (-.411 to .911), mIoU .500 (-.402 to .902)" in page
    assert crack_results.main(["--check"]) == 0
    (folders / "page.md").write_text(page.replace(".700", ".900"))
    assert crack_results.main(["--check"]) == 1
    (folders / "page.md").write_text(page.replace("<!-- begin: other -->", ""))
    with pytest.raises(SystemExit, match="no marks <!-- begin: other -->"):
        crack_results.main([])


def test_new_figures_replace_those_of_their_set_model_and_seed(folders: Path) -> None:
    assert crack_results.main([str(folders / "unseen")]) == 0
    assert (
        "| photos | .250 | .500 | .500 | .500 | .500 | .500 | .500 | .002 | 42 |"
        in (folders / "shipped.md").read_text()
    )
    assert "| photos less those looked at | .150 | .500 |" in (folders / "shipped.md").read_text()
    scores = folders / "unseen" / "other" / "m-s1" / "scores.json"
    scores.write_text(scores.read_text().replace("0.25", "0.35"))
    second = folders / "second" / "other" / "m-s2"
    second.mkdir(parents=True)
    (second / "scores.json").write_text(scores.read_text())
    assert crack_results.main([str(folders / "second")]) == 0
    assert "| m | 1, 2 | .300 ± .071 |" in (folders / "page.md").read_text()
    assert crack_results.main([str(folders / "unseen")]) == 0
    assert "| m | 1, 2 | .350 ± .000 |" in (folders / "page.md").read_text()


def test_a_folder_without_a_seed_is_refused(folders: Path) -> None:
    (folders / "unseen" / "other" / "m-s1").rename(folders / "unseen" / "other" / "m")
    with pytest.raises(SystemExit, match="name it <model>-s<seed>"):
        crack_results.main([str(folders / "unseen")])
