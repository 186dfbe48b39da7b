"""Training that starts from a checkpoint really starts there, and the row says what of it is fresh."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from experiments.cells.cell import Cell
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.run.run import run
from experiments.trainers.yolo.start import preserving, start_of
from yoloplug.bridge.model import built, load
from yoloplug.modelfile.file import parse, read

TINY = """\
nc: 3
scales: {{n: [1.0, 1.0, 1024]}}
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, {block}, [32, True]]
  - [-1, 1, Conv, [32, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""
SPEC = """\
name: tune
task: detect
models:
  - {{model: {stock}, init: best.pt}}
  - {{model: {changed}, init: best.pt}}
  - {{model: {stock}, init: best.pt, fresh_as: {changed}}}
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: 1, imgsz: 64, batch: 2, workers: 0, threads: 1}}
train: {{optimizer: SGD, lr0: 1.0e-12, warmup_epochs: 0.0}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Two images, a checkpoint of the stock model, and a spec of stock, changed model and control."""
    names = {}
    for name, block in (("stock", "C2f"), ("changed", "C2f_gnConv")):
        path = tmp_path / f"yolov8n-{name}.yaml"
        path.write_text(TINY.format(block=block))
        names[name] = str(path)
    torch.manual_seed(5)
    trained: Any = DetectionModel(yaml_model_load(names["stock"]), verbose=False)
    trained.names = {0: "a", 1: "b", 2: "c"}
    trained.requires_grad_(False)  # as Ultralytics leaves a checkpoint at the end of training
    torch.save({"model": trained, "train_args": {}, "epoch": -1}, tmp_path / "best.pt")
    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    (tmp_path / "spec.yaml").write_text(SPEC.format(**names))
    return tmp_path / "spec.yaml"


def cells(spec: Path) -> list[Cell]:
    return plan(spec, spec.parent, spec.parent / "out").cells


def state(weights: Path) -> dict[str, torch.Tensor]:
    return {n: v for n, v in load(weights, trust=True).state_dict().items() if v.is_floating_point()}


def test_what_is_fresh_is_counted(spec: Path) -> None:
    stock, changed, control = cells(spec)
    assert [cell.model.label for cell in (stock, changed, control)] == [
        "yolov8n-stock-from-best",
        "yolov8n-changed-from-best",
        "yolov8n-stock-from-best-fresh-as-yolov8n-changed",
    ]
    starts = [start_of(cell, "detect", 3) for cell in (stock, changed, control)]
    every, fresh = zip(*((s.row["init"]["params"], s.row["init"]["fresh"]) for s in starts), strict=True)
    assert fresh[0] == 0 and 0 < fresh[1] < every[1] and 0 < fresh[2] < every[2]
    assert starts[1].text == f"weights of best.pt, {fresh[1] / every[1]:.1%} of the parameters fresh"
    assert starts[0].weights == spec.parent / "best.pt" and starts[2].weights == control.folder / "start.pt"
    before, after = state(spec.parent / "best.pt"), state(control.folder / "start.pt")
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"2"}  # the row whose block is another one, and no other


def test_a_preserved_start_computes_what_the_checkpoint_computes(spec: Path) -> None:
    text = spec.read_text().replace("changed.yaml, init: best.pt}", "changed.yaml, init: best.pt, preserve: true}", 1)
    spec.write_text(text.replace("fresh_as", "matched_to").replace(", matched_to: ", ", by: flops, matched_to: "))
    _, changed, _ = cells(spec)
    assert changed.model.label == "yolov8n-changed-from-best-preserve"
    start = start_of(changed, "detect", 3)
    assert start.text.endswith("fresh, function preserved") and "{preserve: true}" in Path(start.model).read_text()
    network, source, image = (
        built(read(start.model).model, "detect", 3),
        load(spec.parent / "best.pt"),
        torch.rand(1, 3, 64, 64),
    )
    network.load(source)
    with torch.no_grad():
        ours, theirs = (model.eval()(image)[0] for model in (network, source))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_training_starts_at_the_checkpoint(spec: Path) -> None:
    """With a step size of nothing, the weights at the end are those of the checkpoint."""
    key = "yolov8n-stock-from-best-data-s0"
    assert run(spec, spec.parent, spec.parent / "out", lambda text: None, only=[key]) == 0
    before = state(spec.parent / "best.pt")
    after = state(spec.parent / "out" / "cells" / key / "train" / "weights" / "last.pt")
    kernels = [name for name, value in before.items() if value.ndim == 4]
    assert kernels and all(torch.allclose(before[n], after[n], atol=2e-3) for n in kernels)  # saved as float16


def test_another_checkpoint_is_another_run(spec: Path) -> None:
    first, *_ = cells(spec)
    first.folder.mkdir(parents=True)
    (first.folder / "cell.json").write_text('{"init_sha256": "of another file"}')
    with pytest.raises(SpecError, match="holds a different run"):
        cells(spec)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("{model: yolov8n.yaml, init: none.pt}", r"models.0.init: .*none.pt does not exist .*best.pt"),
        ("{model: yolov8n.yaml, preserve: true}", r"models.0.preserve: goes with init"),
        ("{model: unet, encoder: resnet18, init: best.pt}", r"models.0.init: is for YOLO models; unet is none"),
        ("{model: yolov8n.yaml, init: best.pt, fresh_as: b.yaml}", r"models.0.fresh_as: no model 'b.yaml' starts from"),
        ("{model: yolov8n.yaml, init: spec.yaml}", r"models.0.init: must be a .pt file"),
    ],
)
def test_refused(spec: Path, model: str, words: str) -> None:
    text = spec.read_text().splitlines()
    spec.write_text("\n".join([*text[:3], f"  - {model}", *text[6:]]))
    with pytest.raises(SpecError, match=words):
        cells(spec)


def test_rows_that_preserve() -> None:
    text = TINY.format(block="C2f_gnConv").replace("[32, 3, 2]]\nhead", "[32, 3, 2, {order: 2}]]\nhead")
    text = text.replace("Conv, [32, 3, 2, {", "gnConv, [32, 3, 2, {")
    changed = parse(preserving(parse(text, "my.yaml", "n")), "my.yaml", "n")
    assert changed.rows[2].args == [32, True, {"preserve": True}]
    assert changed.rows[3].args == [32, 3, 2, {"order": 2, "preserve": True}]
    assert preserving(changed) == changed.text
    with pytest.raises(SpecError, match="no row whose function could be preserved"):
        preserving(read("yolov8n.yaml"))
