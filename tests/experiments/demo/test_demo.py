"""The demo's drawings are reproducible and labelled rightly; its command line helps."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from experiments.cells.record import hash_files
from experiments.cli import main
from experiments.demo.cracks import draw_cracks
from experiments.demo.shapes import CLASSES, draw_shapes
from experiments.trainers.yolo.detection_data import ground_truth, open_detection
from segplug.data.readers import open_data


def test_shapes_are_where_the_labels_say(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "a", train=12, val=3)
    data = open_detection(tmp_path / "a")
    assert data.names == CLASSES and len(data.train) == 12
    truth = ground_truth(data.train, data.names)
    assert {a["category_id"] for a in truth["annotations"]} == {1, 2, 3}
    for annotation in truth["annotations"]:
        image = cv2.imread(str(data.train[annotation["image_id"] - 1]))
        x, y, w, h = (round(v) for v in annotation["bbox"])
        assert x >= 0 and y >= 0 and x + w <= 128 and y + h <= 128
        inside = image[y + h * 5 // 8 - 2 : y + h * 5 // 8 + 2, x + w // 2 - 2 : x + w // 2 + 2].reshape(-1, 3)
        assert inside.std(axis=0).max() < 1  # one flat colour in the middle of every shape


def test_cracks_are_darker_than_the_concrete(tmp_path: Path) -> None:
    draw_cracks(tmp_path, train=6, test=2)
    for pair in open_data(tmp_path).samples("train"):
        grey = cv2.imread(str(pair.image), cv2.IMREAD_GRAYSCALE).astype(float)
        mask = cv2.imread(str(pair.label.path), cv2.IMREAD_GRAYSCALE)
        assert set(np.unique(mask)) == {0, 255} and 0.002 < (mask > 0).mean() < 0.2
        assert grey[mask == 0].mean() - grey[mask > 0].mean() > 20


def test_same_files_every_time(tmp_path: Path) -> None:
    for place in ("a", "b"):
        draw_shapes(tmp_path / place / "shapes", train=2, val=1)
        draw_cracks(tmp_path / place / "cracks", train=2, test=1)
    first, second = (hash_files(p for p in (tmp_path / x).rglob("*") if p.is_file()) for x in "ab")
    assert first == second
    train, val = (tmp_path / "a" / "shapes" / "images" / s / "000.png" for s in ("train", "val"))
    assert train.read_bytes() != val.read_bytes()


@pytest.mark.parametrize("command", ["run", "report", "keep", "time", "results", "demo"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert "example: python -m experiments" in " ".join(capsys.readouterr().out.split())
