"""Saved predictions, a threshold from validation, ignored pixels, and what is written."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from segplug.cli import main
from segplug.data.images.reading import read_image
from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.data.split import split_train_val
from segplug.errors import SegplugError
from segplug.evaluation.run import evaluate, evaluate_predictions
from segplug.inference.checkpoint import load_model
from segplug.inference.export import export_model
from segplug.inference.predictor import load
from segplug.inference.probability import crack_probability, fast_layout, image_logits
from segplug.metrics import DEFINITIONS, Contributions, MetricSum
from segplug.page.palette import FALSE_ALARM, HIT, MISS, rgb
from segplug.prediction import predict
from segplug.training.config import TrainConfig
from segplug.training.run import train

AddCrack = Callable[..., None]
CPU = torch.device("cpu")


@pytest.fixture
def checkpoint(tiny: Callable[..., TrainConfig]) -> Path:
    return train(tiny(epochs=1, lr=5e-3)) / "best.ckpt"


def probabilities(checkpoint: Path, images: Path) -> dict[str, np.ndarray]:
    model = fast_layout(load_model(checkpoint)[0], CPU)
    return {f.stem: crack_probability(model, read_image(f), CPU) for f in sorted(images.iterdir())}


def test_saved_masks_score_as_their_checkpoint(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    """Threshold metrics and rows exactly; curves and the published protocol need more than a mask holds."""
    predict(checkpoint, cracks / "test" / "images", tmp_path / "found", threshold=0.4, device="cpu")
    direct = evaluate(checkpoint, cracks, device="cpu", threshold=0.4)
    saved = evaluate_predictions(tmp_path / "found" / "masks", cracks, threshold=0.4)
    assert saved["per_image"] == direct["per_image"] and "checkpoint" not in saved
    for name, value in direct["metrics"].items():
        if not name.startswith(("ods", "ois", "ap", "scs")):
            assert saved["metrics"][name] == value, name


def test_a_model_is_scored_at_the_sizes_it_predicts_at(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    """A packed model carries its sizes; `eval` looks at the photo as `predict` does."""
    packed = export_model(checkpoint, "half", tmp_path / "packed.ckpt", scales=(1, 2)).path
    direct = evaluate(packed, cracks, device="cpu")
    (tmp_path / "found").mkdir()
    for file in (cracks / "test" / "images").iterdir():
        np.save(tmp_path / "found" / f"{file.stem}.npy", load(packed, "cpu")(read_image(file)))
    saved = evaluate_predictions(tmp_path / "found", cracks)
    whole = evaluate(packed, cracks, device="cpu", scales=(1,))
    same = [name for name in direct["metrics"] if not name.startswith("scs")]
    assert [direct["metrics"][name] for name in same] == [saved["metrics"][name] for name in same]
    assert direct["scales"] == [1, 2] and "scales" not in whole
    assert direct["metrics"]["ap"] != whole["metrics"]["ap"]


def test_saved_probabilities_score_as_their_checkpoint(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    (tmp_path / "found").mkdir()
    for stem, probability in probabilities(checkpoint, cracks / "test" / "images").items():
        np.save(tmp_path / "found" / f"{stem}.npy", probability)
    direct, saved = evaluate(checkpoint, cracks, device="cpu"), evaluate_predictions(tmp_path / "found", cracks)
    for name, value in direct["metrics"].items():
        if not name.startswith("scs"):
            assert saved["metrics"][name] == value, name
    assert saved["per_image"] == direct["per_image"]


def test_published_protocol_of_a_checkpoint(checkpoint: Path, cracks: Path) -> None:
    """Photo and label resized to 512x512, logits scaled by their maximum, one image and threshold at a time."""
    model = fast_layout(load_model(checkpoint)[0], CPU)  # as evaluate: other layouts round otherwise
    f1 = np.zeros((100, 2))
    for i, name in enumerate("ab"):
        photo = cv2.resize(read_image(cracks / "test" / "images" / f"{name}.png"), (512, 512), interpolation=2)
        label = cv2.imread(str(cracks / "test" / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        truth = cv2.resize(label, (512, 512), interpolation=cv2.INTER_CUBIC) > 127
        with torch.inference_mode():
            logits = image_logits(model, torch.from_numpy(photo.transpose(2, 0, 1).copy())[None])[0, 0].numpy()
        saved = cv2.add(255 * (logits / logits.max()), 0.0, dtype=cv2.CV_8U)
        for k, threshold in enumerate(np.arange(0.0, 1.0, 0.01)):
            hit = saved / 255 > threshold
            f1[k, i] = 2 * (hit & truth).sum() / (hit.sum() + truth.sum())
    metrics = evaluate(checkpoint, cracks, device="cpu")["metrics"]
    assert metrics["scs_compat_ods"] == pytest.approx(f1.mean(axis=1).max(), abs=1e-9)
    assert metrics["scs_compat_ois"] == pytest.approx(f1.max(axis=0).mean(), abs=1e-9)


def test_threshold_comes_from_what_training_held_out(checkpoint: Path, cracks: Path) -> None:
    _, held_out = split_train_val(open_data(cracks).samples("train"), 0.25, seed=0)
    total = MetricSum()
    found = probabilities(checkpoint, cracks / "train" / "images")
    for sample in held_out:
        total.add(found[sample.name], cv2.imread(str(sample.label.path), cv2.IMREAD_UNCHANGED) // 255)
    result = evaluate(checkpoint, cracks, device="cpu", threshold="auto")
    assert result["threshold"] == total.scores()["ods_threshold"]
    assert result["threshold_from"] == "best F1 on 2 images of val"
    assert result["per_image"] == evaluate(checkpoint, cracks, device="cpu", threshold=result["threshold"])["per_image"]


def test_threshold_is_never_chosen_where_it_is_scored(checkpoint: Path, cracks: Path, add_crack: AddCrack) -> None:
    def auto(split: str, source: str) -> None:
        evaluate(checkpoint, cracks, split, "cpu", "auto", threshold_from=source)

    with pytest.raises(SegplugError, match="never chosen on test; use val or train"):
        auto("train", "test")
    with pytest.raises(SegplugError, match=r"\.png: would choose the threshold and be scored with it"):
        auto("train", "val")
    with pytest.raises(SegplugError, match="would choose the threshold"):
        auto("train", "train")
    with pytest.raises(SegplugError, match="no vall images to choose a threshold on; found: train, test"):
        auto("test", "vall")
    add_crack(cracks / "val", "v")
    with pytest.raises(SegplugError, match=r"v\.png: would choose the threshold"):
        auto("val", "val")
    cv2.imwrite(str(cracks / "val" / "masks" / "v.png"), np.zeros((64, 64), np.uint8))
    with pytest.raises(SegplugError, match="none of the 1 validation images has a crack"):
        auto("test", "val")


def test_ignored_pixels_change_nothing(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    """A label that is wrong only where it is ignored scores as before, in every metric."""
    valid = tmp_path / "valid"
    valid.mkdir()
    for name in "ab":
        label = cv2.imread(str(cracks / "test" / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        seen = np.full_like(label, 255)
        seen[:, : label.shape[1] // 2] = 0
        cv2.imwrite(str(valid / f"{name}.png"), seen)
    before = evaluate(checkpoint, DataSource(str(cracks), ignore=str(valid)), device="cpu")
    assert sum(before["per_image"][0][k] for k in ("tp", "fp", "fn", "tn")) == 64 * 32
    assert before["metrics"] != evaluate(checkpoint, cracks, device="cpu")["metrics"]
    for name in "ab":
        file = cracks / "test" / "masks" / f"{name}.png"
        label = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        label[:, : label.shape[1] // 2 - 4] ^= 255  # the cubic resize looks a few pixels across the border
        cv2.imwrite(str(file), label)
    after = evaluate(checkpoint, DataSource(str(cracks), ignore=str(valid)), device="cpu")
    assert after["metrics"] == before["metrics"] and after["per_image"] == before["per_image"]


def test_bad_ignore_folders_are_named(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    def ignoring(folder: Path) -> None:
        evaluate(checkpoint, DataSource(str(cracks), ignore=str(folder)), device="cpu")

    with pytest.raises(SegplugError, match="no such folder"):
        ignoring(tmp_path / "none")
    with pytest.raises(SegplugError, match=r"no mask a\.\* of labelled pixels; add one"):
        ignoring(cracks / "train" / "masks")
    (tmp_path / "valid").mkdir()
    for name in "ab":
        cv2.imwrite(str(tmp_path / "valid" / f"{name}.png"), np.full((64, 64), 255, np.uint8))
    with pytest.raises(SegplugError, match=r"b\.png: 64x64 but its image is 75x50"):
        ignoring(tmp_path / "valid")
    cv2.imwrite(str(tmp_path / "valid" / "b.png"), np.full((50, 75), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "valid" / "a.png"), np.zeros((64, 64), np.uint8))
    with pytest.raises(SegplugError, match=r"a\.png: no pixel has a label"):
        ignoring(tmp_path / "valid")


def test_a_folder_of_scores(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Masks shifted by hand: image b is worse than a, and its picture comes first."""
    (tmp_path / "found").mkdir()
    masks = {n: cv2.imread(str(cracks / "test" / "masks" / f"{n}.png"), cv2.IMREAD_UNCHANGED) for n in "ab"}
    cv2.imwrite(str(tmp_path / "found" / "a.png"), masks["a"])
    cv2.imwrite(str(tmp_path / "found" / "b.png"), np.roll(masks["b"], 2, axis=0))
    out = tmp_path / "scores"
    assert main(["eval", "--predictions", str(tmp_path / "found"), "--data", str(cracks), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    result = json.loads((out / "scores.json").read_text())
    assert shown.startswith(f"2 images of {cracks}, split test, threshold 0.5 (given)\n")
    table = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["name"] for row in table] == list(result["metrics"]) == list(result["definitions"]) == list(DEFINITIONS)
    for row in table:
        assert float(row["value"]) == result["metrics"][row["name"]]
        assert row["definition"] == DEFINITIONS[row["name"]] and f"  {row['definition']}\n" in shown
    rows = list(csv.DictReader((out / "per_image.csv").open()))
    assert [{k: str(v) for k, v in row.items()} for row in result["per_image"]] == rows
    ious = {row["name"]: row["iou_crack"] for row in result["per_image"]}
    assert ious["a"] == 1 > ious["b"]
    pictures = sorted(file.name for file in (out / "worst").iterdir())
    assert pictures == [f"01_iou{ious['b']:.4f}_b.png", "02_iou1.0000_a.png"]
    picture = cv2.imread(str(out / "worst" / pictures[0]))[28:, :, ::-1]
    assert picture.shape == (50, 3 * 75, 3)
    found, truth = np.roll(masks["b"], 2, axis=0) > 0, masks["b"] > 0
    assert np.array_equal(picture[:, :75], read_image(cracks / "test" / "images" / "b.png"))
    assert np.array_equal(picture[:, 75:150, 0] > 0, truth)
    for where, colour in (
        (found & truth, rgb(HIT)),
        (found & ~truth, rgb(FALSE_ALARM)),
        (~found & truth, rgb(MISS)),
    ):
        assert where.any() and np.array_equal((picture[:, 150:] == colour).all(axis=2), where)


def test_only_the_worst_are_kept(cracks: Path, tmp_path: Path) -> None:
    evaluate_predictions(cracks / "train" / "masks", cracks, "train", out=tmp_path / "none", worst=0)
    evaluate_predictions(cracks / "train" / "masks", cracks, "train", out=tmp_path / "three", worst=3)
    assert not (tmp_path / "none" / "worst").exists()
    names = sorted(file.name for file in (tmp_path / "three" / "worst").iterdir())
    assert names == ["01_iou1.0000_photo0-0.png", "02_iou1.0000_photo0-1.png", "03_iou1.0000_photo1-0.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either a checkpoint or --predictions DIR"),
        (["x.ckpt", "--predictions", "y"], "name either a checkpoint or --predictions DIR"),
        (["--predictions", "y", "--threshold", "auto"], "--threshold auto needs a checkpoint; score the predictions"),
        (["--predictions", "y", "--threshold", "1"], "threshold must lie between 0 and 1, got 1.0"),
        (["--predictions", "y", "--worst", "-1"], "worst must be from 0 to 1000, got -1"),
        (["--predictions", "y", "--out", "z.csv"], "z.csv: neither a .json or .npz file nor a folder"),
        (["--predictions", "y"], "y: no such folder"),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    arguments: list[str], message: str, cracks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *arguments, "--data", str(cracks)]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"segplug eval: {message}") and "Traceback" not in error


def test_a_second_score_without_listed_images(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All images, and all but b, from one scoring; as a folder that holds a alone."""
    found, listed, out = tmp_path / "found", tmp_path / "shared.txt", tmp_path / "scores"
    found.mkdir()
    for name in "ab":
        label = cv2.imread(str(cracks / "test" / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(found / f"{name}.png"), np.roll(label, 2 if name == "a" else 9, axis=0))
    listed.write_text("# crops of one photo\n\ntest/images/b.png\n")
    whole = evaluate_predictions(found, cracks)
    arguments = ["eval", "--predictions", str(found), "--data", str(cracks), "--exclude", str(listed)]
    assert main([*arguments, "--out", str(out), "--worst", "0"]) == 0
    printed = capsys.readouterr().out
    assert f"first column: all 2 images; second: 1, without the 1 that {listed} lists" in printed
    result = json.loads((out / "scores.json").read_text())
    assert result["metrics"] == whole["metrics"] and result["without"]["excluded"] == ["b"]
    for folder in (found, cracks / "test" / "images", cracks / "test" / "masks"):
        (folder / "b.png").unlink()
    alone = evaluate_predictions(found, cracks)["metrics"]
    assert result["without"]["metrics"] == pytest.approx(alone) and alone["iou_crack"] != whole["metrics"]["iou_crack"]
    with (out / "metrics.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["iou_crack"]["value_without_excluded"]) == pytest.approx(alone["iou_crack"])
    assert Contributions.load(out / "per_image.npz").scores() == whole["metrics"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nc\nimages/d.png\n", r"c, images/d\.png are no image among the 2 scored \(such as a\.png\)"),
        ("# a\n", "lists no image"),
        ("a.png\ntest/images/b.png\n", "lists all 2 images"),
        (None, "cannot read .* it must be a text file"),
    ],
)
def test_exclusions_that_mean_nothing(cracks: Path, tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "shared.txt").write_text(text)
    with pytest.raises(SegplugError, match=message):
        evaluate_predictions(cracks / "test" / "masks", cracks, exclude=tmp_path / "shared.txt")
