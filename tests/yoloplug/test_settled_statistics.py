"""Validation settles no later than the stock model's: what norms store, against what their batches had.

Twenty steps on four drawn images. A stock model's own norms are then up to a hundred times off, having started at
variance 1; the norms that hosts put behind blocks must not be, and those inside blocks no further than stock ones.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import ModelEMA

from yoloplug import BLOCKS, hosts
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d

Row = tuple[object, ...]
STEPS = 20


def squares() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    image, boxes = torch.rand(4, 3, 32, 32, generator=random) * 0.3, []
    for number in range(4):
        x, y, side = (int(value) for value in torch.randint(4, 16, (3,), generator=random))
        image[number, :, y : y + side, x : x + side] = 0.9
        boxes.append([(x + side / 2) / 32, (y + side / 2) / 32, side / 32, side / 32])
    return {"img": image, "cls": torch.zeros(4, 1), "bboxes": torch.tensor(boxes), "batch_idx": torch.arange(4.0)}


def detector(row: Row) -> DetectionModel:
    stem = [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [64, 3, 2]]]
    config = {
        "nc": 1,
        "backbone": [*stem, list(row), [-1, 1, "Conv", [64, 3, 2]]],
        "head": [[[3], 1, "Detect", ["nc"]]],
    }
    torch.manual_seed(0)
    model = DetectionModel(config, verbose=False)
    model.args = get_cfg()
    return model.train()


def trained(row: Row, steps: int = STEPS, accumulate: int = 1) -> tuple[DetectionModel, ModelEMA]:
    """After `steps` batches; `accumulate` of them make a step of the optimiser and of the average."""
    model, data = detector(row), squares()
    ema = ModelEMA(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for number in range(1, steps + 1):
        model.loss(data)[0].sum().backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
            ema.update(model)
    return model, ema


def off(model: nn.Module, of: nn.Module, batch: torch.Tensor | None = None) -> dict[nn.Module, float]:
    """Each norm in `of` -> the factor between its stored variance and its batch's, median over channels."""
    seen: dict[nn.Module, float] = {}

    def compare(norm: nn.Module, args: tuple[torch.Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
        stored = norm.statistics()[1] if isinstance(norm, CorrectedBatchNorm2d) else norm.running_var
        if args[0].numel() > args[0].shape[1]:
            true = args[0].detach().transpose(0, 1).flatten(1).var(1)
            seen[norm] = float(((stored + norm.eps) / (true + norm.eps)).log().abs().median().exp())

    hooks = [m.register_forward_pre_hook(compare) for m in of.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        model.train()(squares()["img"] if batch is None else batch)
    for hook in hooks:
        hook.remove()
    return seen


@cache
def worst_of_stock() -> float:
    model, _ = trained((-1, 1, "C2f", [64, True]))
    return max(off(model, model).values())


def check(row: Row, accumulate: int = 1) -> None:
    model, ema = trained(row, accumulate=accumulate)
    for network in (model, ema.ema):
        for norm, factor in off(network, network.model[2]).items():
            assert factor < (2.5 if isinstance(norm, CorrectedBatchNorm2d) else worst_of_stock()), type(norm)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_row(name: str) -> None:
    check((-1, 1, name, [64, 1, 1] if name == "TransposedConv" else [64, 3, 1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in hosts.host_names() if name not in BLOCKS])
def test_inside_its_hosts(name: str) -> None:
    check((-1, 1, name, [64, True]))


@pytest.mark.parametrize("name", ["gnConv", "SCConv"])
def test_from_the_first_step_on(name: str) -> None:
    """The blocks with the smallest values: their norm right after one step, in the model, its EMA, and fused."""
    model, ema = trained((-1, 1, name, [64, 3, 1]), steps=1)
    for network in (model, ema.ema):
        ((_, factor),) = off(network, network.model[2]).items()
        assert factor < 1.5
    row = ema.ema.model[2].eval()
    x = torch.rand(2, 64, 16, 16)
    with torch.no_grad():
        expected = row(x)
        row.fuse()
        torch.testing.assert_close(row(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["gnConv", "SCConv"])
def test_with_gradients_of_several_batches(name: str) -> None:
    """As with Ultralytics' nbs above batch: the average of weights is made at every fourth batch only."""
    check((-1, 1, name, [64, 3, 1]), accumulate=4)


DDP = '''
import os, sys
import torch
import torch.distributed as dist
from ultralytics.models.yolo.detect import DetectionTrainer

parallel = torch.nn.parallel.DistributedDataParallel
torch.nn.parallel.DistributedDataParallel = lambda model, device_ids, **rest: parallel(model, **rest)

class Trainer(DetectionTrainer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.world_size = 2

    def _setup_ddp(self):
        dist.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size=2)

    def final_eval(self):
        """Validates best.pt on a device by number, which a CPU has not."""

overrides = dict(model="yolov8n-C2f_gnConv.yaml", data=sys.argv[1], epochs=5, imgsz=64, batch=4, nbs=8, workers=0,
    warmup_epochs=0, mosaic=0, device="cpu", plots=False, project=sys.argv[2], name="ddp", exist_ok=True, amp=False)
Trainer(overrides=overrides).train()
'''


@pytest.mark.slow
def test_trained_by_two_processes_of_gloo(tmp_path: Path, tiny_detection_data: Path) -> None:
    """Ultralytics' own trainer as its DDP children run it, on CPUs: two batches a step, five epochs."""
    (tmp_path / "child.py").write_text(DDP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    children = []
    for rank in ("0", "1"):
        children.append(
            subprocess.Popen(
                [sys.executable, tmp_path / "child.py", tiny_detection_data, tmp_path],
                env=os.environ | address | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
            )
        )
    said = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], "\n".join(said)[-3000:]
    model = YOLO(tmp_path / "ddp" / "weights" / "last.pt").model.float()
    images = [cv2.imread(str(file)) for file in sorted((tiny_detection_data.parent / "images/train").glob("*.png"))]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    ours = [m for m in model.modules() if isinstance(m, CorrectedBatchNorm2d)]
    assert ours and all(0.1 < norm.settled < 1 for norm in ours)
    factors = off(model, model, batch)
    assert max(factors[norm] for norm in ours) < 2.5


def test_loaded_from_a_stock_model_the_norm_takes_gain_and_shift_but_no_statistics() -> None:
    """Fine-tuning: `load` meets the replaced Conv's norm by key and shape; its statistics are of another map."""
    stock, _ = trained((-1, 1, "Conv", [64, 3, 1]), steps=3)
    model = detector((-1, 1, "gnConv", [64, 3, 1]))
    model.load(stock, verbose=False)
    norm, source = model.model[2].bn, stock.model[2].bn
    assert torch.equal(norm.weight, source.weight) and torch.equal(norm.bias, source.bias)
    assert norm.settled == 0 and not norm.running_mean.any() and norm.num_batches_tracked == 0
    again = detector((-1, 1, "gnConv", [64, 3, 1]))
    own, _ = trained((-1, 1, "gnConv", [64, 3, 1]), steps=3)
    again.load(own, verbose=False)
    assert torch.equal(again.model[2].bn.running_var, own.model[2].bn.running_var) and again.model[2].bn.settled > 0
