"""Evaluation and prediction with a checkpoint, on images of any size."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from segplug.errors import SegplugError
from segplug.evaluation.run import evaluate
from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.metrics import Counts, f1, iou_crack
from segplug.prediction import predict
from segplug.training.config import TrainConfig
from segplug.training.run import train


@pytest.fixture
def checkpoint(tiny: Callable[..., TrainConfig]) -> Path:
    return train(tiny(epochs=4, lr=5e-3)) / "best.ckpt"


def test_metrics_follow_from_the_rows(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    result = evaluate(checkpoint, cracks, device="cpu", out=tmp_path / "scores" / "test.json")
    rows = [Counts(*(row[k] for k in ("tp", "fp", "fn", "tn"))) for row in result["per_image"]]
    assert [row["name"] for row in result["per_image"]] == ["a", "b"]
    assert [sum((c.tp, c.fp, c.fn, c.tn)) for c in rows] == [64 * 64, 50 * 75]
    pooled = rows[0] + rows[1]
    assert result["metrics"]["iou_crack"] == iou_crack(pooled) and result["metrics"]["f1"] == f1(pooled)
    assert result["metrics"]["iou_per_image"] == pytest.approx((iou_crack(rows[0]) + iou_crack(rows[1])) / 2)
    assert json.loads((tmp_path / "scores" / "test.json").read_text()) == json.loads(json.dumps(result))


def test_one_corrupt_photo_is_named_and_the_others_are_predicted(
    checkpoint: Path, cracks: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(cracks / "test" / "images", photos)
    good = sorted(file.stem for file in photos.iterdir())
    (photos / "0-broken.png").write_bytes(b"no picture")
    with pytest.raises(SegplugError, match=r"1 of \d+ files failed.*0-broken\.png: not a readable image"):
        predict(checkpoint, photos, tmp_path / "out", device="cpu")
    assert sorted(file.stem for file in (tmp_path / "out" / "masks").iterdir()) == good


def test_predicted_masks_score_as_evaluated(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    rows = predict(checkpoint, cracks / "test" / "images", tmp_path / "out", device="cpu")
    assert [row["name"] for row in rows] == ["a", "b"]
    counts = {row["name"]: row for row in evaluate(checkpoint, cracks, device="cpu")["per_image"]}
    for name in "ab":
        found = cv2.imread(str(tmp_path / "out" / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        truth = cv2.imread(str(cracks / "test" / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        photo = cv2.imread(str(cracks / "test" / "images" / f"{name}.png"))
        overlay = cv2.imread(str(tmp_path / "out" / "overlays" / f"{name}.png"))
        assert found.shape == truth.shape and set(np.unique(found)) <= {0, 255}
        assert int(((found > 0) & (truth > 0)).sum()) == counts[name]["tp"]
        assert np.array_equal(overlay[found == 0], photo[found == 0])
        assert not (overlay[found > 0] == photo[found > 0]).all()


def test_large_photos_are_tiled(checkpoint: Path, tmp_path: Path) -> None:
    photo = tmp_path / "large.jpg"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(90, 200, (300, 420, 3), dtype=np.uint8))
    predict(checkpoint, photo, tmp_path / "out", tile=256, device="cpu")
    assert cv2.imread(str(tmp_path / "out" / "masks" / "large.png")).shape == (300, 420, 3)


def test_a_checkpoint_loads_without_code_and_offline(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    contents["segplug"]["train"]["encoder_weights"] = "imagenet"
    torch.save(contents, checkpoint)
    model, about = load_model(checkpoint)
    assert not model.training and about["model"]["name"] == "gbcnet"
    trained = read_checkpoint(checkpoint)["state_dict"]
    assert all(trained[f"model.{k}"].equal(v) for k, v in model.state_dict().items())


def test_weights_of_another_version_are_refused_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    weights = contents["state_dict"]
    del contents["segplug"]["sha256"]
    old = {key.replace("decoder.", "decoder.gbc."): value for key, value in weights.items()}
    renamed = sum("decoder." in key for key in weights)
    torch.save({**contents, "state_dict": old}, tmp_path / "old.ckpt")
    missing = rf"old\.ckpt: weights of another version of gbcnet \({renamed} missing, such as decoder\.\S+; "
    with pytest.raises(
        SegplugError, match=missing + rf"{renamed} unknown, such as decoder\.gbc\.\S+\); train again"
    ) as told:
        load_model(tmp_path / "old.ckpt")
    assert "\n" not in str(told.value)
    head = next(key for key in weights if key.startswith("model.segmentation_head"))
    torch.save({**contents, "state_dict": {**weights, head: weights[head][..., :1]}}, tmp_path / "shape.ckpt")
    with pytest.raises(SegplugError, match=r"\(1 of another shape, such as segmentation_head"):
        load_model(tmp_path / "shape.ckpt")


def test_other_files_are_not_taken_for_checkpoints(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="no such checkpoint"):
        load_model(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "half.ckpt").write_bytes(checkpoint.read_bytes()[:5000])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save({"model": torch.nn.Conv2d(1, 1, 1)}, tmp_path / "pickled.ckpt")
    for name in ("text", "half", "pickled"):
        with pytest.raises(SegplugError, match=rf"{name}\.ckpt: not a readable (checkpoint|model)"):
            load_model(tmp_path / f"{name}.ckpt")
    with pytest.raises(SegplugError, match="not a segplug checkpoint"):
        load_model(tmp_path / "foreign.ckpt")
    contents = read_checkpoint(checkpoint)
    contents["state_dict"].popitem()
    del contents["segplug"]["sha256"]
    torch.save(contents, checkpoint)
    with pytest.raises(SegplugError, match=r"weights of another version of gbcnet \(1 missing"):
        load_model(checkpoint)


def test_bad_requests_are_named(checkpoint: Path, cracks: Path, tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="no split 'val'; found: train, test"):
        evaluate(checkpoint, cracks, "val")
    with pytest.raises(SegplugError, match="threshold must lie between"):
        evaluate(checkpoint, cracks, threshold=0)
    with pytest.raises(SegplugError, match="no such file or folder"):
        predict(checkpoint, tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegplugError, match="holds no image"):
        predict(checkpoint, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(SegplugError, match="tile must lie between 256 and 65536 px, got 64"):
        predict(checkpoint, cracks / "test" / "images", tmp_path / "out", tile=64)
