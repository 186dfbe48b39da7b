"""The images that are shown are the ones the scores name, and their colours mean what the key says."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.errors import SpecError
from experiments.evidence.masks import save_masks, save_target, shrink_mask
from experiments.evidence.pictures import KEPT, SIDE_PX, kept, save_pictures
from experiments.report.comparison import Comparison, compare
from experiments.report.examples import examples
from experiments.report.rows import read_run
from segplug.page.palette import FALSE_ALARM, HIT, MISS


def comparison(folder: Path) -> Comparison:
    (only,) = compare([read_run(folder)])
    return only


def colours(jpeg: bytes, x: int, *rows: int) -> list[np.ndarray]:
    """Colours of the original's pixels (x, row); panels are ten times enlarged."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    assert pixels.shape == (300, 400, 3)
    return [pixels[10 * row, 10 * x] for row in rows]


def near(pixel: np.ndarray, colour: str) -> bool:
    return bool(np.abs(pixel - [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).max() < 50)


def test_mask_colours(tmp_path: Path, make_row: Any) -> None:
    """Truth rows 5 to 14, prediction rows 10 to 19."""
    make_row(tmp_path, "base", 5, task="segment", iou_crack=0.3)
    example = next(e for e in examples(comparison(tmp_path)) if e.name == "photo <1>.jpg")
    (truth, _), (caption, panel) = example.panels
    assert (truth, caption) == ("Ground truth", "base, IoU 0.33")
    found = colours(panel, 20, 7, 12, 17)
    assert [near(pixel, colour) for pixel, colour in zip(found, (MISS, HIT, FALSE_ALARM), strict=True)] == [True] * 3


def test_box_colours(tmp_path: Path, make_row: Any) -> None:
    """The box is found 1 px too low (IoU 0.8) with seed 1, 6 px too low (IoU 0.25) with seed 6."""
    make_row(tmp_path, "base", 1, AP=0.4)
    make_row(tmp_path, "plug_in", 6, AP=0.4)
    first = next(e for e in examples(comparison(tmp_path)) if e.name == "photo <1>.jpg")
    (_, truth), (good, hit), (bad, miss) = first.panels
    assert (good, bad) == ("base, F1 1.00", "plug_in, F1 0.00")  # the box with confidence 0.1 is not drawn
    assert near(colours(truth, 10, 5)[0], HIT) and near(colours(hit, 10, 6)[0], HIT)
    assert near(colours(miss, 10, 5)[0], MISS) and near(colours(miss, 10, 11)[0], FALSE_ALARM)


def test_chosen_by_paired_difference(tmp_path: Path, make_row: Any) -> None:
    for seed in (0, 1):
        make_row(tmp_path, "base", seed, task="segment", iou_crack=0.5)
    cell = make_row(tmp_path, "plug_in", 1, task="segment", iou_crack=0.5)
    rows = [{"name": "a", "iou_crack": 0.9}, {"name": "b", "iou_crack": 0.1}]
    (cell / "per_image.json").write_text(json.dumps(rows))
    compared = comparison(tmp_path)
    reasons = {example.name: example.reasons for example in examples(compared)}
    assert reasons["b"] == ["largest gain of plug_in, +0.10", "hardest for all models, 0.03"]
    assert reasons["photo <1>.jpg"] == ["easiest for all models, 0.91"]  # no loss: 0.9 against 9/11


def test_no_pictures_no_section(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4, changes={"files": {}})
    assert examples(comparison(tmp_path)) == []


@pytest.mark.parametrize(
    ("task", "lost"),
    [
        ("detect", "predictions.json"),
        ("detect", "ground_truth.json"),
        ("segment", "masks.npz"),
        ("segment", "per_image.json"),
    ],
)
def test_cells_without_their_files_are_not_drawn(tmp_path: Path, make_row: Any, task: str, lost: str) -> None:
    """As rows are that were copied or committed without them; the other cells are drawn."""
    for label in ("base", "plug_in"):
        cell = make_row(tmp_path, label, task=task, **{"AP" if task == "detect" else "iou_crack": 0.4})
    (cell / lost).unlink()
    first, *_ = examples(comparison(tmp_path))
    assert [caption.split(",")[0] for caption, _ in first.panels] == ["Ground truth", "base"]
    (tmp_path / "pictures" / "data" / "1.jpg").unlink()
    assert examples(comparison(tmp_path)) == []


@pytest.mark.parametrize(
    ("task", "cut"),
    [
        ("detect", "predictions.json"),
        ("detect", "pictures/data/1.jpg"),
        ("segment", "masks.npz"),
        ("segment", "pictures/data/1-truth.png"),
    ],
)
def test_a_cut_file_is_named_with_its_remedy(tmp_path: Path, make_row: Any, task: str, cut: str) -> None:
    cell = make_row(tmp_path, "base", task=task, **{"AP" if task == "detect" else "iou_crack": 0.4})
    path = tmp_path / cut if cut.startswith("pictures") else cell / cut
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SpecError, match=rf"{re.escape(str(path))} is .*; delete .*row\.json and run the spec again"):
        examples(comparison(tmp_path))


@pytest.mark.parametrize("count", [1, 3, KEPT, KEPT + 1, 5000])
def test_kept_images_are_spread_evenly(count: int) -> None:
    indices = kept(count)
    assert len(indices) == min(count, KEPT) and indices[0] == 0 and indices[-1] == count - 1
    assert max(np.diff(indices), default=1) - min(np.diff(indices), default=1) <= 1


def test_pictures_are_small_and_turned(tmp_path: Path) -> None:
    photo = Image.new("RGB", (2000, 1000), "red")
    exif = photo.getexif()
    exif[274] = 6  # turn by 90 degrees
    photo.save(tmp_path / "a.jpg", exif=exif)
    save_pictures(tmp_path / "kept", (tmp_path / "a.jpg",))
    with Image.open(tmp_path / "kept" / "0.jpg") as picture:
        assert picture.size == (SIDE_PX // 2, SIDE_PX)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["0.jpg"]


def test_masks_keep_thin_cracks(tmp_path: Path) -> None:
    truth = np.zeros((1024, 1024), dtype=bool)
    truth[:, 300] = True  # 1 px wide, half a pixel of the picture
    save_target(tmp_path, 3, np.zeros((1024, 1024, 3), np.uint8), truth)
    save_masks(tmp_path / "masks.npz", {3: shrink_mask(truth)})
    with Image.open(tmp_path / "3-truth.png") as saved, np.load(tmp_path / "masks.npz") as masks:
        assert np.array_equal(np.asarray(saved.convert("L")) > 0, masks["3"])
        assert masks["3"].shape == (SIDE_PX, SIDE_PX) and masks["3"].sum() == SIDE_PX
    assert (tmp_path / "masks.npz").stat().st_size < 3000
