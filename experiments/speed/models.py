"""Whole models in bfloat16, fused re-parameterised ones beside stock, and stock with the bridge beside stock without.

`python -m experiments.speed.models`

One process, one thread, CPU time; what is compared takes turns. Writes experiments/results/speed/models.json and the
tables of docs/speed.md.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.speed.blocks import take_turns
from experiments.speed.results import record
from yoloplug.bridge.model import fused, load
from yoloplug.cost.timing import tensors

BF16 = ("yolov8n.yaml", "yolov8n-C2f_gnConv.yaml", "yolov8n-C2f_DCNv2.yaml", "yolov8n-C2f_SCConv.yaml")
FUSED = tuple(f"yolov8n-C2f_{name}.yaml" for name in ("ACBlock", "DBB", "DOConv", "RepVGGBlock"))


def step(model: nn.Module, x: Tensor, narrow: bool) -> None:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        outputs = list(tensors(model(x)))
    torch.stack([y.float().square().mean() for y in outputs]).sum().backward()


def bf16_rows(runs: int) -> list[dict[str, Any]]:
    """Forward and backward of 8 images of 256 px in channels_last."""
    x = torch.rand(8, 3, 256, 256).to(memory_format=torch.channels_last)
    rows = []
    for name in BF16:
        model = load(name).train().requires_grad_(True).to(memory_format=torch.channels_last)
        steps = {key: partial(step, model, x, key == "bf16") for key in ("float32", "bf16")}
        for call in steps.values():
            call()
        rows.append({"table": "bf16", "model": name, **_compared(take_turns(steps, runs), "bf16", "float32")})
    return rows


def fused_rows(runs: int) -> list[dict[str, Any]]:
    """Latency at batch 1 and 320 px, after `fuse()`."""
    stock, x, rows = fused(load("yolov8n.yaml")).eval(), torch.rand(1, 3, 320, 320), []
    for name in FUSED:
        model = fused(copy.deepcopy(load(name))).eval()
        with torch.inference_mode():
            steps = {"block": partial(model, x), "stock": partial(stock, x)}
            for call in steps.values():
                call()
            rows.append({"table": "fused", "model": name, **_compared(take_turns(steps, 5 * runs), "block", "stock")})
    return rows


def bridge_rows(runs: int) -> list[dict[str, Any]]:
    """A training step of stock yolov8n in processes with the bridge and without, by turns.

    Two of each: processes alike differ by 3 %, by where their memory lies.
    """
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    with ExitStack() as stack:
        children = [(key, stack.enter_context(_child(key))) for key in list(seconds) * 2]
        assert [child.stdout.readline() for _, child in children if child.stdout] == ["ready\n"] * 4
        for turn in range(6 * runs):
            for key, child in children[:: -1 if turn % 2 else 1]:
                seconds[key].append(float(_asked(child)))
    return [{"table": "bridge", "model": "yolov8n.yaml", **_compared(seconds, "with", "without")}]


def _child(key: str) -> subprocess.Popen[str]:
    """It ends when its input does, as it does at the end of a `with`."""
    script = Path(__file__).with_name("processes") / "stock_step.py"
    return subprocess.Popen([sys.executable, script, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _asked(child: subprocess.Popen[str]) -> str:
    """The seconds of one more step."""
    assert child.stdin is not None and child.stdout is not None
    print(file=child.stdin, flush=True)
    return child.stdout.readline()


def _compared(seconds: dict[str, list[float]], key: str, other: str) -> dict[str, Any]:
    ratio = statistics.median(a / b for a, b in zip(seconds[key], seconds[other], strict=True))
    return {"ratio": round(ratio, 3)} | {f"{k}_ms": round(1e3 * statistics.median(v), 1) for k, v in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    tables = {"bf16": bf16_rows, "fused": fused_rows, "bridge": bridge_rows}
    parser.add_argument("--only", nargs="+", choices=tables, default=list(tables), help="keep the other tables' rows")
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        help="rounds of a training step; latencies five times as many, the bridge six",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for table in options.only for row in tables[table](options.runs)]
    for row in rows:
        print(row)
    record("models", rows, key=lambda row: (row["table"], row["model"]))


if __name__ == "__main__":
    main()
