"""Verdicts of whole folders of results: from the cells' files to tables and sentences."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.errors import SpecError
from experiments.evidence.masks import CrackImages
from experiments.evidence.scores import score_images, score_subsets
from experiments.metrics.coco_ap import CocoImages
from experiments.report.comparison import Comparison, compare
from experiments.report.figures.intervals import intervals
from experiments.report.forms.document import document
from experiments.report.forms.render import html, latex, markdown
from experiments.report.forms.table_csv import csv_table
from experiments.report.rows import read_run
from experiments.report.tables.overall import overall
from experiments.report.tables.quality import per_class
from experiments.report.tables.sentences import sentences, verdict_in_one
from experiments.report.tables.verdicts import control_table, verdict_table
from experiments.statistics.interval import image_samples
from segplug.metrics import AllMetrics


@pytest.fixture(autouse=True)
def _fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 samples of images instead of 1000, for speed."""
    monkeypatch.setattr("experiments.report.resampled.image_samples", partial(image_samples, samples=100))


def boxes(found: float, seed: int, images: int = 30) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Three objects an image of two classes; each is found with this chance, beside one false alarm."""
    rng, chance = np.random.default_rng(0), np.random.default_rng(1000 + seed)
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    predictions = []
    for image in range(1, images + 1):
        truth["images"].append({"id": image, "file_name": f"{image}.jpg", "width": 400, "height": 400})
        for _ in range(3):
            x, y, kind = float(rng.uniform(0, 300)), float(rng.uniform(0, 300)), int(rng.integers(1, 3))
            item = {"image_id": image, "category_id": kind, "bbox": [x, y, 40.0, 40.0]}
            number = len(truth["annotations"]) + 1
            truth["annotations"].append({**item, "id": number, "area": 1600.0, "iscrowd": 0})
            if chance.random() < found + rng.normal(0, 0.1):
                predictions.append({**item, "score": float(chance.uniform(0.3, 1))})
        wrong = {"image_id": image, "category_id": 1, "bbox": [350.0, 350.0, 9.0, 9.0]}
        predictions.append({**wrong, "score": float(chance.uniform(0, 0.8))})
    return truth, predictions


MakeRow = Callable[..., Path]


def detection_cell(make_row: MakeRow, out: Path, label: str, seed: int, found: float) -> Path:
    truth, predictions = boxes(found, seed + 10 * len(label))
    files = {"per_image": ["ground_truth.json", "predictions.json"]}
    cell = make_row(out, label, seed, changes={"files": files, **score_images(CocoImages.of(truth, predictions))})
    (cell / "ground_truth.json").write_text(json.dumps(truth))
    (cell / "predictions.json").write_text(json.dumps(predictions))
    return cell


@pytest.fixture
def detections(tmp_path: Path, make_row: MakeRow) -> Path:
    """Three seeds of a baseline, a model that finds much more, and one that finds as much."""
    for label, found in (("base", 0.5), ("finder", 0.9), ("same_as_base", 0.5)):
        for seed in range(3):
            detection_cell(make_row, tmp_path, label, seed, found)
    return tmp_path


def only(folder: Path) -> Comparison:
    (comparison,) = compare([read_run(folder)])
    return comparison


def test_detections_are_judged_from_their_files(detections: Path) -> None:
    comparison = only(detections)
    verdicts = comparison.verdicts
    assert verdicts["finder"].word == "better" and verdicts["finder"].reason == ""
    assert str(verdicts["same_as_base"]) == "insufficient evidence (it may be chance: 0 lies inside its interval)"
    found, other = verdicts["finder"].difference, verdicts["same_as_base"].difference
    assert found and other and found.value == pytest.approx(np.mean(comparison.differences("finder", "AP")))
    assert verdicts["finder"].p_holm == pytest.approx(2 * found.p)
    assert verdicts["same_as_base"].p_holm == pytest.approx(other.p)
    table = verdict_table(comparison)
    assert [row[-1].value for row in table.rows] == ["-", "better", "insufficient evidence"]
    assert "corrected for the 2 comparisons of this table (Holm 1979)" in " ".join(table.notes)
    said = "finder is better than base in COCO AP; same_as_base is open."
    assert verdict_in_one(comparison) == said
    assert sentences(comparison)[0].startswith("finder is better than base: COCO AP ")
    assert table.notes[-1].startswith(
        "Of all 3 pairs of models, 2 are resolved (Holm over all of them): base and finder;"
    )
    known = intervals(comparison)
    assert known["finder", "AP"] == (found.low, found.high) and ("finder", "AP of dog") in known
    classes = per_class(comparison)
    assert classes and classes.columns == ["Model", "cat", "dog"] and "[+" in classes.rows[1][2].small
    assert classes.caption == "AP by class" and classes.rows[0][2].small[0] == "["  # the baseline's own interval


def test_one_comparison_needs_no_correction(detections: Path) -> None:
    for cell in (detections / "cells").glob("same_as_base-*"):
        (cell / "row.json").unlink()
    comparison = only(detections)
    found = comparison.verdicts["finder"]
    assert found.difference and found.p_holm == found.difference.p
    assert "One comparison in this table" in verdict_table(comparison).notes[-1]


def test_a_model_is_also_judged_against_stock_at_its_size(detections: Path, make_row: MakeRow) -> None:
    """Better than the baseline, and insufficient against a stock model scaled to its size that finds as much."""
    assert control_table(only(detections)) is None
    model = {"model": "base", "matched_to": "finder", "by": "params"}
    scaled = {"model": model, "matched": {"by": "params", "off": 0.004}}
    for seed in range(3):
        cell = detection_cell(make_row, detections, "base-as-finder-params", seed, 0.9)
        row = json.loads((cell / "row.json").read_text()) | scaled
        (cell / "row.json").write_text(json.dumps(row))
    comparison = only(detections)
    verdict = comparison.controlled["finder", "base-as-finder-params"]
    assert (
        comparison.verdicts["finder"].word == "better"
        and str(verdict) == "insufficient evidence (it may be chance: 0 lies inside its interval)"
    )
    apart = comparison.differences("finder", "AP", "base-as-finder-params")
    assert verdict.difference and verdict.p_holm == verdict.difference.p
    assert (
        verdict.difference.value == pytest.approx(np.mean(apart))
        and verdict.difference.low < 0 < verdict.difference.high
    )
    table = control_table(comparison)
    assert table and [cell.value for cell in table.rows[0]][:1] == ["finder"] and len(table.rows) == 1
    assert table.rows[0][2].small == "params +0.4%" and table.rows[0][-1].value == "insufficient evidence"
    assert sentences(comparison)[-1].startswith(
        "Whether finder is better or worse than base-as-finder-params is open: "
    )
    assert table.caption in markdown(document([read_run(detections)], [comparison], [{}]))
    assert ",finder,base-as-finder-params,AP,fraction,3," in csv_table([comparison])


def test_what_is_open_of_three_models_is_one_sentence(detections: Path, make_row: MakeRow) -> None:
    for label in ("as_good", "another_one"):
        for seed in range(3):
            detection_cell(make_row, detections, label, seed, 0.5)
    comparison = only(detections)
    decided, undecided = sentences(comparison)
    assert decided.startswith("finder is better than base: ")
    opened = [label for label in comparison.labels[1:] if label != "finder"]
    found = [v.difference for label in opened if (v := comparison.verdicts[label]).difference]
    lowest, highest = min(d.low for d in found), max(d.high for d in found)
    assert undecided.startswith(
        f"Whether {opened[0]}, {opened[1]} or {opened[2]} is better or worse than base is open: "
    )
    assert f"their 95 % intervals within {lowest:+.2f} to {highest:+.2f}. A true difference of " in undecided


def test_a_diverged_seed_is_marked_and_not_tested(detections: Path) -> None:
    path = detections / "cells" / "finder-data-s1" / "row.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"diverged": True, "metrics": {}, "cost": {}}))
    comparison = only(detections)
    assert verdict_table(comparison).rows[1][-1].value == "diverged (NaN)"
    other = comparison.verdicts["same_as_base"]
    assert other.difference and other.p_holm == other.difference.p


def test_files_that_do_not_belong_to_their_rows_are_refused(detections: Path) -> None:
    path = detections / "cells" / "finder-data-s1" / "predictions.json"
    kept = path.read_text()
    for text, message in (("[]", r"finder-data-s1: .* its row says"), ("{", r"predictions\.json is not JSON")):
        path.write_text(text)
        with pytest.raises(SpecError, match=message):
            _ = only(detections).verdicts
    path.write_text(kept)
    truth = path.with_name("ground_truth.json")
    truth.write_text(truth.read_text().replace("30.jpg", "31.jpg"))
    with pytest.raises(SpecError, match="holds other images than its table's"):
        _ = only(detections).verdicts


def test_a_missing_file_is_said_and_stops_nothing(detections: Path) -> None:
    for path in (detections / "cells").glob("finder-*/predictions.json"):
        path.unlink()
    runs = [read_run(detections)]
    text = markdown(document(runs, compare(runs), [{}]))
    assert (
        "insufficient evidence (per-image file missing)" in text and "may be chance: 0 lies inside its interval" in text
    )


def cracks(seed: int, shift: int) -> AllMetrics:
    """Twenty images; each line is found `shift` pixels beside its place, more or less."""
    rng, total = np.random.default_rng(seed), AllMetrics()
    for image in range(20):
        truth = np.zeros((24, 32), dtype=np.uint8)
        truth[8:14] = 1
        probability = np.roll(truth, shift + int(rng.integers(-1, 2)), axis=0) * 0.9
        total.add(f"wall{image}", probability, truth, (probability * 255).astype(np.uint8), truth.astype(bool))
    return total


def test_cracks_and_the_part_of_them_that_a_spec_names(tmp_path: Path, make_row: MakeRow) -> None:
    for label, shift in (("base", 3), ("plug_in", 1)):
        for seed in range(3):
            total = cracks(seed + 10 * shift, shift)
            cell = make_row(tmp_path, label, seed, task="segment", **total.scores())
            total.contributions().save(cell / "per_image.npz")
            row = json.loads((cell / "row.json").read_text())
            row["subsets"] = score_subsets(CrackImages(cell / "per_image.npz"), {"fresh": ["wall0", "wall1"]})
            row["files"]["contributions"] = "per_image.npz"
            (cell / "row.json").write_text(json.dumps(row))
    comparison = only(tmp_path)
    (fresh,) = comparison.subsets
    assert fresh.title == "made-segment on data, fresh" and fresh.split == "val, 5 images; fresh: 18 of them"
    assert comparison.verdicts["plug_in"].word == fresh.verdicts["plug_in"].word == "better"
    assert comparison.verdicts["plug_in"].difference != fresh.verdicts["plug_in"].difference
    text = "\n".join(sentences(comparison))
    assert text.startswith("plug_in is better than base: crack IoU") and "\nOn fresh: plug_in is better than" in text
    csv = csv_table([comparison])
    assert ",fresh,plug_in,base,iou_crack,fraction,3," in csv and ",,plug_in,base,hd95_px,px,3," in csv


def test_two_data_sets_have_one_answer_beside_those_of_each(tmp_path: Path, make_row: MakeRow) -> None:
    for folder in ("first", "second"):
        for label, found in (("base", 0.5), ("finder", 0.9)):
            for seed in range(3):
                cell = detection_cell(make_row, tmp_path / folder, label, seed, found)
                row = json.loads((cell / "row.json").read_text())
                (cell / "row.json").write_text(json.dumps(row | {"dataset": folder}))
    runs = [read_run(tmp_path / folder) for folder in ("first", "second")]
    content = document(runs, compare(runs), [{}, {}])
    (table,) = content.overall
    ((model, change, better),) = table.rows
    assert (model.value, model.small, better.value) == ("finder", "2 data sets", "1.000")
    assert change.value.startswith("+") and change.value.endswith(" %") and change.small.startswith("[+")
    expected = overall(compare(runs))["finder"].change
    digits = len(change.value.removesuffix(" %").partition(".")[2])
    assert change.value == f"{100 * expected:+.{digits}f} %"
    assert "over first, second" in table.notes[0]
    assert "# Over all data sets" in markdown(content) and "made-detect over all data sets" in html(content)
    assert r"\caption{Over all data sets. made-detect over all data sets.}" in latex(content)
    assert document(runs[:1], compare(runs[:1]), [{}]).overall == []
    for cell in (tmp_path / "second" / "cells").glob("finder-*"):
        shutil.rmtree(cell)
    runs[1] = read_run(tmp_path / "second")
    assert document(runs, compare(runs), [{}, {}]).overall == []  # judged on one of them
