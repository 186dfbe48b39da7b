"""The measurement of preserved starts: its networks, its table, and the committed rows."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from experiments.pretrained import preserve
from yoloplug import BLOCKS
from yoloplug.preserve import Beside

STOCK = yaml_model_load("yolov8n.yaml")


@pytest.mark.parametrize(("name", "rows"), [("gnConv", 8), ("TransposedConv", 2), ("HorStem", 7)])
def test_the_block_stands_in_every_row_for_which_it_can(name: str, rows: int) -> None:
    model = preserve.swapped(name, STOCK)
    mine = [row for row in [*model["backbone"], *model["head"]] if name in row[2]]
    assert len(mine) == rows and all(row[3][-1] == {"preserve": True} for row in mine)
    assert preserve.swapped(name, STOCK) != STOCK == yaml_model_load("yolov8n.yaml")


def test_maps_are_the_heads_in_three_modes_and_leave_the_network_alone() -> None:
    torch.manual_seed(0)
    source = DetectionModel(copy.deepcopy(STOCK), nc=6, verbose=False)
    before = copy.deepcopy(source.state_dict())
    x = torch.rand(2, 3, 64, 64)
    own = preserve.maps(source, x)
    assert set(own) == {"inference", "fused", "training"}
    for seen in own.values():
        assert [tuple(t.shape) for t in seen] == [(2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2)]
    assert all(torch.equal(before[key], value) for key, value in source.state_dict().items())
    network = preserve.changed("TransposedConv", source, 6)
    assert sum(isinstance(module, Beside) for module in network.modules()) == 2
    for mode, maps in preserve.maps(network, x).items():
        for a, b in zip(maps, own[mode], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_pixels_are_rgb_between_0_and_1(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (255, 0, 51)).save(tmp_path / "a.png")
    (image,) = preserve.pixels([tmp_path / "a.png"], 32)
    assert image.shape == (3, 32, 32) and image[:, 5, 5].tolist() == pytest.approx([1, 0, 0.2])


def test_rows_are_kept_of_one_source_only_and_the_page_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preserve, "RESULT", tmp_path / "new/preserve.json")
    monkeypatch.setattr(preserve, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text("before\n<!-- table -->\nold\n<!-- end -->\nafter\n")
    source = {"cell": "c", "images": 9, "epochs": 2, "imgsz": 64, "AP": 0.5, "torch": "2", "ultralytics": "8"}
    source["largest"] = {"inference": 3.0, "training": 4.0}
    row = {"block": "B", "starts": {"gamma 0": 2, "offset 0": 1}, "params": 1234, "AP": 0.4993}
    row["off"] = {"inference": 1e-6, "fused": 2e-6, "training": 0.0}
    preserve.record({**source, "cell": "another"}, {**row, "block": "Z"})
    preserve.record(source, {**row, "params": 1})
    preserve.record(source, row)
    preserve.record(source, {**row, "block": "a", "AP": 0.5, "starts": {"gamma 0": 3}})
    preserve.write_page()
    page = (tmp_path / "page.md").read_text()
    assert "old" not in page and page.startswith("before") and page.endswith("<!-- end -->\nafter\n")
    assert "| B | gamma 0 (2); offset 0 (1) | 1,234 | 0.4993 | -0.0007 | 1e-06 | 2e-06 | 0e+00 |" in page
    assert "| a | gamma 0 | 1,234 | 0.5000 | +0.0000 |" in page and page.index("| a |") < page.index("| B |")
    assert "2 blocks: AP at most 0.0007 off" in page


def test_the_committed_rows_hold_what_the_page_promises() -> None:
    """Issue 15: every block, maps equal to 1e-4, AP within .001 of the trained network's, before any training."""
    known = json.loads(preserve.RESULT.read_text("utf-8"))
    assert {row["block"] for row in known["rows"]} == set(BLOCKS)
    for row in known["rows"]:
        assert abs(row["AP"] - known["source"]["AP"]) <= 0.001, row["block"]
        assert max(row["off"].values()) <= 1e-4, row["block"]


def test_boxes_are_those_of_the_network_given_not_of_the_cells_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "train/weights").mkdir(parents=True)
    YOLO("yolov8n.yaml").save(tmp_path / "train/weights/last.pt")
    Image.new("RGB", (64, 64), (255, 0, 51)).save(tmp_path / "a.png")
    row = {"protocol": {"conf": 0.0, "iou": 0.7, "max_det": 5}, "budget": {"imgsz": 64}}

    def boxes(shift: float) -> list[dict[str, object]]:
        network = DetectionModel(copy.deepcopy(STOCK), nc=6, verbose=False)
        for branch in network.model[-1].cv3:
            torch.nn.init.constant_(branch[-1].bias, shift)
        return preserve.predicted(tmp_path, network, [tmp_path / "a.png"], row)

    high, low = boxes(3.0), boxes(-3.0)
    assert len(high) == len(low) == 5 and min(b["score"] for b in high) > 0.5 > max(b["score"] for b in low)
    assert all(b["image_id"] == 1 and 1 <= b["category_id"] <= 6 for b in high)
