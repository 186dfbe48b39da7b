"""What is committed of a run repeats its statistics, from a small part of its size."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.cli import main
from experiments.errors import SpecError
from experiments.evidence.boxes import open_images
from experiments.evidence.compact import COMPACT
from experiments.evidence.masks import CrackImages
from experiments.metrics.coco_ap import CocoImages
from experiments.report.comparison import compare
from experiments.report.forms.table_csv import csv_table
from experiments.report.rows import read_run
from experiments.run.keep import keep
from experiments.statistics.interval import image_samples
from tests.experiments.metrics.test_coco_ap import random_set
from tests.experiments.report.test_verdicts import detection_cell
from tests.experiments.spec.test_photos import cracks


@pytest.fixture(autouse=True)
def _fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.report.resampled.image_samples", partial(image_samples, samples=100))


@pytest.mark.parametrize("ties", [False, True])
def test_boxes_give_the_same_scores_of_any_images(tmp_path: Path, ties: bool) -> None:
    """With ties, crowds, a class without objects, and detections that are left out."""
    targets, predictions = random_set(2)
    if ties:
        predictions = [{**item, "score": round(item["score"], 1)} for item in predictions]
    rng = np.random.default_rng(0)
    sets = np.stack([np.ones(12, int), *rng.multinomial(12, np.full(12, 1 / 12), size=20)])
    for image in targets["images"] if ties else []:
        image["group"] = image["id"] // 3
    full = CocoImages.of(targets, predictions)
    full.save_compact(tmp_path / COMPACT)
    assert (full.groups is not None) == ties
    with np.load(tmp_path / COMPACT) as file:
        assert (file["place"].dtype, file["rank"].dtype) == (np.int32, np.uint8)  # as small as they can be
    again = CocoImages.load_compact(tmp_path / COMPACT)
    ours, theirs = again.scores(sets), full.scores(sets)
    assert (again.names, again.groups, again.classes) == (full.names, full.groups, full.classes)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, name)


def test_masks_give_the_same_scores_but_those_of_fine_histograms(tmp_path: Path) -> None:
    cracks(0, 1).contributions().save(tmp_path / "per_image.npz")
    full = CrackImages(tmp_path / "per_image.npz")
    full.save_compact(tmp_path / COMPACT)
    sets = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=10)
    ours, theirs = CrackImages(tmp_path / COMPACT, coarse=True).scores(sets), full.scores(sets)
    assert theirs.keys() - ours.keys() == {name for name in theirs if name == "ap" or name.startswith("scs_compat")}
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_the_table_of_a_kept_run_is_that_of_the_run(
    tmp_path: Path, make_row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every number, interval and verdict; by one command, whose folder has no boxes and no pictures."""
    run, kept = tmp_path / "run", tmp_path / "kept"
    for label, chance in (("base", 0.5), ("finder", 0.9)):
        for seed in range(3):
            detection_cell(make_row, run, label, seed, chance)
    assert main(["keep", str(run), "--to", str(kept)]) == 0
    assert "kept" in capsys.readouterr().out
    assert csv_table(compare([read_run(kept)])) == csv_table(compare([read_run(run)]))
    names = {path.name for path in kept.rglob("*") if path.is_file()}
    assert names == {"row.json", COMPACT} and not list(kept.rglob("*.jpg"))


def test_a_run_without_its_files_and_a_cut_file_are_refused(tmp_path: Path, make_row: Any) -> None:
    with pytest.raises(SpecError, match="holds no finished cell"):
        keep(tmp_path, tmp_path / "kept")
    cell = make_row(tmp_path / "run", "base", AP=0.4)
    with pytest.raises(SpecError, match="lacks its per-image files; delete its row"):
        keep(tmp_path / "run", tmp_path / "kept")
    with pytest.raises(SpecError, match="is the run itself"):
        keep(tmp_path / "run", tmp_path / "run")
    (cell / COMPACT).write_bytes(b"PK not")
    with pytest.raises(SpecError, match=r"is cut or damaged .*; put the committed file back"):
        open_images(json.loads((cell / "row.json").read_text()), cell)
