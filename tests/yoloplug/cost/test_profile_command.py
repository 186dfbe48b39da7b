"""`yoloplug profile`: fair turns, true ratios, files that hold what the tables say, errors that name the remedy."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import cv2
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from ultralytics.nn.tasks import DetectionModel

from yoloplug import BLOCKS, hosts
from yoloplug.bridge.model import load
from yoloplug.cli import main
from yoloplug.cost.blocks import block_costs, blocks_in, lone_seat
from yoloplug.cost.flops import count_parameters
from yoloplug.cost.timing import LatencyMs, TimingProtocol, interleaved_ms, tensors, training_step

QUICK = TimingProtocol(imgsz=64, runs=2, warmup=0)


def test_the_compared_take_turns():
    order: list[str] = []
    passes = {"a": lambda: order.append("a"), "b": lambda: (order.append("b"), time.sleep(0.02))}
    times = interleaved_ms(passes, runs=3, warmup=1)
    assert order == ["a", "b"] * 4
    assert times["b"].median > 19
    assert times["b"].p10 <= times["b"].median <= times["b"].p90


def test_quantiles():
    assert LatencyMs.of([0.001 * n for n in range(1, 12)]) == pytest.approx((6, 2, 10))


def test_a_training_step_reaches_every_parameter_and_moves_none():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 4, 2)).eval()
    model.requires_grad_(False)
    before = [parameter.clone() for parameter in model.parameters()]
    training_step(model, torch.rand(2, 3, 4, 4))()
    assert model.training and int(model[1].num_batches_tracked) == 1
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert parameter.grad is not None and torch.equal(parameter, old)


def test_tensors_are_found_in_any_nesting():
    x = torch.ones(2, requires_grad=True)
    assert len(list(tensors({"a": [x, (x, torch.ones(1))], "b": None}))) == 2


def test_blocks_of_a_model_are_found_once_per_shape_with_their_uses():
    model = load("yolov8n-C2f_gnConv.yaml").train()
    seats = blocks_in(model, torch.rand(1, 3, 64, 64))
    assert model.training and not any(module._forward_pre_hooks for module in model.modules())
    assert sum(seat.uses for seat in seats) == sum(isinstance(m, hosts.ConvLike) for m in model.modules())
    assert [tuple(seat.input.shape) for seat in seats[:2]] == [(1, 16, 16, 16), (1, 32, 8, 8)]
    cost = block_costs(seats[:1], QUICK)[0]
    assert (cost.name, cost.shape, cost.uses) == ("gnConv", "16x16x16", 1)
    assert cost.conv_params == 16 * 16 * 9 + 2 * 16
    assert cost.params == count_parameters(seats[0].module)
    assert cost.forward_ratio == cost.forward.median / cost.conv_forward.median > 0
    assert cost.step_ratio == cost.step.median / cost.conv_step.median > 0


def test_a_row_with_two_inputs_is_measured_with_both():
    rows = [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [[-1, 0], 1, "CondParamConv", [32]],
    ]
    config = {"nc": 2, "backbone": rows, "head": [[[2], 1, "Detect", ["nc"]]], "yaml_file": "two.yaml"}
    (cost,) = block_costs(blocks_in(DetectionModel(config, verbose=False), torch.rand(1, 3, 64, 64)), QUICK)
    assert cost.shape == "32x16x16+16x32x32 -> 32x16x16"
    assert cost.step_ratio > 0


class Operations(TorchDispatchMode):
    """Counts them: a time that is the same on every machine."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(runs, *_):
    times = {}
    for name, run in runs.items():
        with Operations() as counted:
            run()
        times[name] = LatencyMs(*[float(counted.count)] * 3)
    return times


def test_a_block_with_more_work_has_a_larger_ratio(monkeypatch):
    monkeypatch.setattr("yoloplug.cost.blocks.interleaved_ms", operations)
    deformable, separable = block_costs([lone_seat("DCNv2", 16, 40), lone_seat("BottConv", 16, 40)], QUICK)
    assert deformable.forward_ratio > separable.forward_ratio > 1
    assert deformable.step_ratio > separable.step_ratio > 1


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_block_can_be_measured(name):
    assert block_costs([lone_seat(name, 32, 8)], QUICK)[0].forward_ratio > 0


def test_command_writes_what_it_prints(tmp_path, capsys):
    table, chart = tmp_path / "cost.csv", tmp_path / "cost.png"
    options = ["--imgsz", "64", "--runs", "2", "--csv", str(table), "--plot", str(chart)]
    assert main(["profile", "yolov8n-C2f_DCNv2.yaml", *options]) == 0
    printed = capsys.readouterr().out
    assert "2 forward passes" in printed and "aten.silu" in printed
    models, blocks = (list(csv.DictReader(open(file))) for file in (table, tmp_path / "cost-blocks.csv"))
    assert [row["model"] for row in models] == ["yolov8n-C2f_DCNv2.yaml"]
    assert int(models[0]["params"]) == count_parameters(load("yolov8n-C2f_DCNv2.yaml"))
    assert f"{int(models[0]['params']):,}" in printed
    assert 8.5e9 / 100 < int(models[0]["flops"]) < 9.5e9 / 100
    for row in models:
        assert float(row["latency_ms_p10"]) <= float(row["latency_ms"]) <= float(row["latency_ms_p90"])
        assert float(row["step_ms"]) > 0 and float(row["step_peak_mib"]) > 5
    assert {row["block"] for row in blocks} == {"DCNv2"}
    assert f"{float(blocks[0]['step_ratio']):.2f}x" in printed
    assert cv2.imread(str(chart)).std() > 5


def test_a_checkpoint_is_a_model_too(tmp_path):
    from ultralytics import YOLO

    file = tmp_path / "mine.pt"
    YOLO("yolov8n-C2f_gnConv.yaml").save(file)
    assert count_parameters(load(str(file))) == count_parameters(load("yolov8n-C2f_gnConv.yaml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["yolov8n-C2f_gnConvv.yaml"], "did you mean yolov8-C2f_gnConv.yaml"),
        (["yolov88n.yaml"], "did you mean yolov8"),
        (["missing.pt"], "no checkpoint 'missing.pt'"),
        (["yolov8n.yaml", "--imgsz", "100"], "imgsz must be a multiple of 32 from 32 to 16,384, got 100"),
        (["yolov8n.yaml", "--batch", "0"], "batch must be at least 1, got 0"),
        (["yolov8n.yaml", "--runs", "0"], "runs must be at least 1, got 0"),
        (["yolov8n.yaml", "--device", "tpu"], "device must be cpu, or cuda"),
        (["yolov8n.yaml", "--csv", "no/such/folder.csv"], "no such folder"),
        (["yolov8n.yaml", "--plot", "bars.xyz"], "bars.xyz: cannot draw .xyz"),
        ([], "profile needs a model"),
    ],
)
def test_refuses(arguments, message, capsys):
    assert main(["profile", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_listing_commands_stay_light():
    """The parser is built without torch: `yoloplug blocks --help` answers at once."""
    source = Path(main.__globals__["profile_command"].__file__).read_text().split("def run")[0]
    assert "torch" not in source.replace("torch's choice", "")
