"""Data for Ultralytics' segmentation tasks and masks of its models, there and back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.data.utils import polygon2mask
from ultralytics.engine.results import Results

from experiments.cli import main
from experiments.trainers.yolo.masks import crack_mask, outlines
from segplug.data.dataset import CrackDataset
from segplug.data.readers import open_data
from segplug.data.source import DataSource


@pytest.fixture
def cracks(tmp_path: Path) -> Path:
    """Six training and two test photos: a crack that closes a loop, a speck; pixels without label in one of them."""
    mask = np.zeros((60, 90), np.uint8)
    cv2.circle(mask, (40, 30), 18, 255, 2)
    cv2.line(mask, (58, 30), (89, 50), 255, 1)
    mask[3, 3] = 255
    for split, names in (("train", "abcdef"), ("test", "xy")):
        for kind in ("images", "masks"):
            (tmp_path / "cracks" / split / kind).mkdir(parents=True)
        for name in names:
            assert cv2.imwrite(str(tmp_path / f"cracks/{split}/images/{name}.jpg"), np.full((60, 90, 3), 140, np.uint8))
            pixels = mask if name != "y" else mask * 0
            assert cv2.imwrite(str(tmp_path / f"cracks/{split}/masks/{name}.png"), pixels)
    valid = np.full((60, 90), 255, np.uint8)
    valid[:, 70:] = 0
    (tmp_path / "cracks/test/valid").mkdir()
    for name in "xy":
        assert cv2.imwrite(str(tmp_path / f"cracks/test/valid/{name}.png"), valid)
    return tmp_path / "cracks"


def run(*arguments: object) -> int:
    return main(["masks", *(str(argument) for argument in arguments)])


def filled(rings: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """As Ultralytics turns outlines into a mask."""
    found = np.zeros(shape, bool)
    for ring in rings:
        found |= polygon2mask(shape, [(ring * shape[::-1]).astype(np.float32).ravel()], 1, 1) > 0
    return found


def test_data_comes_back_as_written(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "--data", cracks, "--out", tmp_path / "yolo", "--val-split", 0.34) == 0
    file = tmp_path / "yolo" / "data.yaml"
    assert capsys.readouterr().out == f"{file}\n"
    about = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert about["names"] == {0: "crack"} and about["masks_dir"] == "masks" and about["test"] == "images/test"
    back = open_data(DataSource(str(file), data_format="semantic"))
    assert {split: len(samples) for split, samples in back.splits.items()} == {"train": 4, "val": 2, "test": 2}
    given = CrackDataset(open_data(DataSource(str(cracks))).samples("test"))
    written = CrackDataset(back.samples("test"))
    for i in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(given.arrays(i), written.arrays(i), strict=True))
    crack = CrackDataset(back.samples("train")).arrays(0)[1] == 1
    labels = (tmp_path / "yolo/labels/train").glob("*.txt")
    for text in (label.read_text() for label in labels):
        rings = [np.array(line.split()[1:], float).reshape(-1, 2) for line in text.splitlines()]
        assert len(rings) == 2 and np.array_equal(filled(rings, (60, 90)), crack)
    assert (tmp_path / "yolo/labels/test/y.txt").read_text() == ""


@pytest.mark.parametrize("seed", range(4))
def test_outlines_fill_to_the_same_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((80, 120), np.uint8)
    for _ in range(7):
        cv2.line(mask, *(tuple(map(int, rng.integers(0, 80, 2))) for _ in range(2)), 1, int(rng.integers(1, 5)))
    mask[rng.integers(0, 80, 5), rng.integers(80, 120, 5)] = 1
    assert np.array_equal(filled(outlines(mask > 0), mask.shape), mask > 0)
    assert outlines(mask[:, :0] > 0) == outlines(mask * 0 > 0) == []


def test_masks_of_both_tasks() -> None:
    photo = np.zeros((4, 6, 3), np.uint8)
    instances = torch.zeros(2, 4, 6)
    instances[0, 1, :3] = instances[1, 2, 2:] = 1
    boxes = torch.tensor([[0.0, 1, 3, 2, 0.9, 0], [2, 2, 6, 3, 0.4, 0]])
    found = crack_mask(Results(photo, "a.png", {0: "crack"}, boxes=boxes, masks=instances))
    assert np.array_equal(found, instances.any(dim=0).numpy())
    assert not crack_mask(Results(photo, "a.png", {0: "crack"}, boxes=boxes[:0])).any()
    classes = torch.tensor([[0, 1, 255]]).repeat(4, 2)
    assert np.array_equal(crack_mask(Results(photo, "a.png", {0: "crack"}, semantic_mask=classes)), classes == 1)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolo26n-sem.yaml", "yolo11n-seg.yaml"])
def test_every_image_gets_a_mask_of_its_size(model: str, cracks: Path, tmp_path: Path) -> None:
    built = YOLO(model)
    built.model.names, built.model.nc = {0: "crack"}, 1
    built.save(tmp_path / "best.pt")
    arguments = ["--data", cracks, "--out", tmp_path / "found", "--imgsz", 64, "--device", "cpu"]
    assert run("predict", tmp_path / "best.pt", *arguments) == 0
    for name in "xy":
        mask = cv2.imread(str(tmp_path / "found" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (60, 90) and set(np.unique(mask)) <= {0, 255}
    assert run("predict", tmp_path / "best.pt", *arguments) == 2


def test_mistakes_end_with_code_2(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    new = tmp_path / "new"
    for arguments, message in (
        (["data", "--data", cracks, "--out", tmp_path / "full"], "full: is there already"),
        (["data", "--data", tmp_path / "none", "--out", new], "none"),
        (["data", "--data", cracks, "--out", new, "--val-split", 0], "give --val-split"),
        (["predict", tmp_path / "none.pt", "--data", cracks, "--out", new], "none.pt: no .pt file"),
        (["predict", tmp_path / "broken.pt", "--data", cracks, "--out", new], "broken.pt: damaged, or no checkpoint"),
    ):
        assert run(*arguments) == 2
        told = capsys.readouterr().err
        assert "experiments: " in told and message in told and not new.exists()
