"""Which images are crops of one photo: by rule, by list, in a plan, in files, and in what a report draws."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.errors import SpecError
from experiments.evidence.masks import CrackImages, name_photos
from experiments.metrics.coco_ap import CocoImages
from experiments.report.comparison import compare
from experiments.report.rows import read_run
from experiments.report.tables.verdicts import verdict_table
from experiments.spec.photos import photos_by_list, photos_by_rule
from experiments.spec.spec import Dataset
from segplug.errors import SegplugError
from segplug.metrics import AllMetrics
from segplug.settings import SettingError

RULE = r"(.+?)(?:-\d+)?$"
SPEC = """\
name: made-segment
task: segment
models: [base, plug_in]
datasets: {data: {path: data, groups: '(.+?)(?:-\\d+)?$'}}
seeds: [0, 1, 2]
budget: {epochs: 2, imgsz: 64, batch: 4}
margin: 0.9
expect: [plug_in better than base, plug_in worse than base]
"""


def test_a_rule_names_the_photo_of_a_file_or_an_image() -> None:
    found = photos_by_rule(RULE, ["11215-1", "11215-2.jpg", "IMG_6536.png", "a.b-7"])
    assert found == {"11215-1": "11215", "11215-2.jpg": "11215", "IMG_6536.png": "IMG_6536", "a.b-7": "a.b"}
    assert photos_by_rule(r"x\d", ["x1y", "other"]) == {"x1y": "x1", "other": "other"}


def test_a_list_names_every_image(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("image,group\na-1.jpg,a\nb.png,b\n")
    assert photos_by_list(path, ["a-1", "b.png"]) == {"a-1": "a", "b.png": "b"}
    with pytest.raises(SpecError, match=r"groups\.csv names no group of c \(1 of 2 images\); add it"):
        photos_by_list(path, ["b", "c"])
    with pytest.raises(SegplugError, match="absent"):
        photos_by_list(tmp_path / "absent.csv", ["b"])


def test_a_wrong_rule_is_refused() -> None:
    with pytest.raises(SettingError, match=re.escape("groups '(' is neither a regular expression")):
        Dataset("data", groups="(")
    assert Dataset("data", groups="(.csv").lists_groups


def cracks(seed: int, shift: int) -> AllMetrics:
    """Twelve crops of four photos."""
    rng, total = np.random.default_rng(seed), AllMetrics()
    for image in range(12):
        truth = np.zeros((24, 32), dtype=np.uint8)
        truth[8:14] = 1
        probability = np.roll(truth, shift + int(rng.integers(-1, 2)), axis=0) * 0.9
        total.add(f"wall{image // 3}-{image}", probability, truth, (probability * 255).astype(np.uint8), truth > 0)
    return total


def test_files_carry_the_photo_of_each_image(tmp_path: Path) -> None:
    path = tmp_path / "per_image.npz"
    cracks(0, 1).contributions().save(path)
    assert CrackImages(path).groups is None
    name_photos(path, photos_by_rule(RULE, CrackImages(path).names))
    assert CrackImages(path).groups == [f"wall{image // 3}" for image in range(12)]
    assert CrackImages(path).scores(np.ones((1, 12), np.int64))["iou_crack"].shape == (1,)
    images = [{"id": k, "file_name": f"{k}.jpg", "group": "a"} for k in (1, 2)]
    truth: dict[str, Any] = {"images": images, "annotations": [], "categories": []}
    assert CocoImages.of(truth, []).groups == ["a", "a"]
    del images[1]["group"]
    assert CocoImages.of(truth, []).groups is None


@pytest.fixture
def crops(tmp_path: Path, make_row: Any) -> Path:
    """Three seeds of a baseline and a better model."""
    for label, shift in (("base", 3), ("plug_in", 1)):
        for seed in range(3):
            total = cracks(seed + 10 * shift, shift)
            files = {"contributions": "per_image.npz"}
            cell = make_row(tmp_path, label, seed, task="segment", changes={"files": files}, **total.scores())
            total.contributions().save(cell / "per_image.npz")
    return tmp_path


def test_a_report_draws_photos_where_the_spec_names_them(crops: Path) -> None:
    (by_image,) = compare([read_run(crops)])
    (crops / "spec.yaml").write_text(SPEC)
    (by_photo,) = compare([read_run(crops)])
    assert by_image.split == "val, 5 images" and by_photo.split == "val, 5 images of 4 photos"
    one, other = (x.verdicts["plug_in"].difference for x in (by_image, by_photo))
    assert one is not None and other is not None and one.value == other.value and one.freedom != other.freedom
    notes = " ".join(verdict_table(by_photo).notes)
    assert "bootstrap samples of the photos, each with all of its images" in notes
    assert "Equivalent: not more than 0.9 apart" in notes


def test_a_list_that_came_after_the_cells_is_refused(crops: Path) -> None:
    (crops / "spec.yaml").write_text(re.sub("groups: .*}}", "groups: groups.csv}}", SPEC))
    (comparison,) = compare([read_run(crops)])
    with pytest.raises(SpecError, match=r"groups: groups\.csv was named after these cells ran; give a rule"):
        _ = comparison.verdicts
    for path in crops.glob("cells/*/per_image.npz"):
        name_photos(path, photos_by_rule(RULE, CrackImages(path).names))
    (comparison,) = compare([read_run(crops)])
    assert comparison.verdicts["plug_in"].word == "better" and comparison.photos == 4


def test_what_was_expected_is_said_with_what_became_of_it(crops: Path) -> None:
    from experiments.report.tables.sentences import expectations

    (crops / "spec.yaml").write_text(SPEC)
    (comparison,) = compare([read_run(crops)])
    held, failed, when = expectations(comparison)
    assert when == "The spec was not committed when it was run; when the first cell started is unknown."
    assert held == "Expected: plug_in better than base. It held."
    assert failed == "Expected: plug_in worse than base. It did not hold: better."
    for path in crops.glob("cells/plug_in-*/per_image.npz"):
        path.unlink()
    (comparison,) = compare([read_run(crops)])
    assert expectations(comparison)[0].endswith("Undecided: insufficient evidence (per-image file missing).")
