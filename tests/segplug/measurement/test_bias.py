"""The bias of a model: from an evaluation's file to the report's paragraph and digits."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segplug.cli import main
from segplug.errors import SegplugError
from segplug.evaluation.sizes import SizeBias, size_lines
from segplug.measurement.accuracy.drawn import straight_crack
from segplug.measurement.bias import ModelBias


def scores(folder: Path, **changed: Any) -> Path:
    ratio = {"median": 1.25, "p5": 0.9, "p95": 2.1}
    sizes = {"images": 18, "mean_width_px": ratio, "max_width_px": ratio, "length_px": {**ratio, "median": 0.92}}
    result = {"checkpoint": "best.ckpt", "model": {"name": "<unet>"}, "data": "deepcrack", "split": "test"}
    file = folder / "scores.json"
    file.write_text(json.dumps({**result, "threshold": 0.5, "sizes": sizes, **changed}), encoding="utf-8")
    return file


def test_ratios_are_of_predicted_by_labelled_sizes() -> None:
    bias = SizeBias()
    thin, wide = (straight_crack(width, 20).mask for width in (4, 8))
    thin = np.pad(thin, [(0, wide.shape[0] - thin.shape[0]), (0, wide.shape[1] - thin.shape[1])])
    for truth, found in ((thin, wide), (wide, wide), (thin, thin & False), (thin & False, wide)):
        bias.add(truth, found)
    told = bias.summary()
    assert told["images"] == 2
    assert told["mean_width_px"]["median"] == pytest.approx(1.5, abs=0.05)
    assert told["mean_width_px"]["p95"] == pytest.approx(1 + 0.95, abs=0.05)
    assert told["length_px"]["p5"] == pytest.approx(1, abs=0.02)
    assert size_lines(told)[1].split()[:2] == ["mean_width_px", f"{told['mean_width_px']['median']:.2f}"]
    assert SizeBias().summary() == {"images": 0}
    assert size_lines({"images": 0}) == ["size of cracks: no image has cracks both labelled and predicted"]


def test_the_report_prints_the_bias_and_only_digits_that_it_leaves_certain(tmp_path: Path) -> None:
    mask = straight_crack(9, 20).mask.astype(np.uint8) * 255
    assert cv2.imwrite(str(tmp_path / "wall.png"), mask)
    command = ["measure", str(tmp_path / "wall.png"), "--mm-per-px", "0.1", "--out"]
    assert main([*command, str(tmp_path / "plain")]) == 0
    assert main([*command, str(tmp_path / "told"), "--bias", str(scores(tmp_path))]) == 0
    plain, told = ((tmp_path / name / "report.html").read_text(encoding="utf-8") for name in ("plain", "told"))
    assert "Bias of the model" not in plain
    assert "&lt;unet&gt; (best.ckpt) at threshold 0.5, on 18 images of deepcrack, test" in told
    assert "mean widths 1.25 times (5 to 95 % of the images: 0.90 to 2.10)" in told and "lengths 0.92 times" in told
    assert ">0.90 mm<small>9.0 px" in plain and ">1 mm<small>9 px" in told  # 0.05 mm, and 110 % of 0.9 mm
    stored = json.loads((tmp_path / "told" / "measurements.json").read_text(encoding="utf-8"))
    assert stored["bias"]["mean_width"]["median"] == 1.25 and stored["bias"]["images"] == 18


def test_files_without_bias_are_named(tmp_path: Path) -> None:
    for changed, message in (
        ({"sizes": {"images": 0}}, r"^[^(]*json: no image there has cracks both labelled and predicted"),
        ({"sizes": None}, "not what `segplug eval --out` of this version writes"),
        ({"sizes": {"images": 3}}, "mean_width_px"),
    ):
        with pytest.raises(SegplugError, match=message):
            ModelBias.read(scores(tmp_path, **changed))
    with pytest.raises(SegplugError, match=r"none\.json: No such file"):
        ModelBias.read(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text("{")
    with pytest.raises(SegplugError, match=r"cut\.json: not what"):
        ModelBias.read(tmp_path / "cut.json")
    assert ModelBias.read(scores(tmp_path)) == ModelBias.read(tmp_path)
    named = ModelBias.read(scores(tmp_path, checkpoint=None, predictions="theirs/"))
    assert named.model == "<unet> (theirs/)"
