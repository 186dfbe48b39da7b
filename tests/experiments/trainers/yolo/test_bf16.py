"""`budget: {precision: bf16}`: the layers of a YOLO train in bfloat16, on a CPU too, and nothing else changes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.run.run import run
from yoloplug.bridge.training import train_in_bf16

SPEC = """\
name: tiny
task: detect
models: [yolov8n.yaml]
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: 5, imgsz: 64, batch: 2, workers: 0, threads: 1{more}}}
train: {train}
"""
STEADY = "{optimizer: SGD, lr0: 0.001, nbs: 2, warmup_epochs: 0.0, mosaic: 0.0}"


def write(folder: Path, more: str, train: str = STEADY) -> Path:
    draw_shapes(folder / "data", train=4, val=1, side=64)
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(more=more, train=train))
    return path


class Seen(nn.Module):
    """Passes on; remembers in which type."""

    def forward(self, x: Tensor) -> Tensor:
        self.dtype = x.dtype
        return x


def test_layers_are_in_bfloat16_and_the_loss_is_not() -> None:
    seen, conv = Seen(), nn.Conv2d(3, 4, 3)
    model = SimpleNamespace(model=nn.Sequential(conv, seen, nn.Conv2d(4, 2, 3)))
    train_in_bf16(SimpleNamespace(model=model, device=torch.device("cpu")))
    result = model.model(torch.rand(1, 3, 16, 16))
    assert seen.dtype == torch.bfloat16 and result.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    result.sum().backward()
    assert conv.weight.dtype == torch.float32 and conv.weight.grad is not None and conv.weight.grad.isfinite().all()
    with pytest.raises(RuntimeError):
        model.model(torch.rand(1, 5, 16, 16))
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.slow
def test_ten_steps_end_as_in_float32(tmp_path: Path) -> None:
    losses = {}
    for precision in ("32", "bf16"):
        spec, out = write(tmp_path, f", precision: {precision}"), tmp_path / precision
        assert run(spec, tmp_path, out) == 0
        (cell,) = (out / "cells").iterdir()
        assert json.loads((cell / "row.json").read_text())["budget"]["precision"] == precision
        losses[precision] = [json.loads(line)["loss"] for line in (cell / "epochs.jsonl").read_text().splitlines()]
    assert losses["bf16"][0] == pytest.approx(losses["32"][0], rel=0.02) and losses["bf16"] != losses["32"]
    assert sum(losses["bf16"]) == pytest.approx(sum(losses["32"]), rel=0.1)
    with pytest.raises(SpecError, match=r"different run .*'precision': 'bf16'"):
        plan(write(tmp_path, ""), tmp_path, tmp_path / "bf16")


def test_the_budget_alone_says_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r":7: train\.precision: stands in the budget"):
        plan(write(tmp_path, "", "{precision: bf16}"), tmp_path, tmp_path / "out")
    with pytest.raises(SpecError, match=r":6: budget\.precision: must be one of 32, bf16 or none, got 'half'"):
        plan(write(tmp_path, ", precision: half"), tmp_path, tmp_path / "out")
    with pytest.raises(SpecError, match=r":7: train\.precision: is given by budget\.precision; keep one"):
        plan(write(tmp_path, ", precision: bf16", "{precision: 32}"), tmp_path, tmp_path / "out")
    (cell,) = plan(write(tmp_path, ""), tmp_path, tmp_path / "out").cells
    assert "precision" not in cell.identity["budget"]  # as in rows of older specs
