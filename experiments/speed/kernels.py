"""The C kernels against torch's operations in the same modules: `python -m experiments.speed.kernels`.

One process, one thread; a module with kernels, the same without them and, for blocks, a 3x3 Conv with BatchNorm and
SiLU take turns, results are compared first. CPU time of the process; a ratio is the median over the rounds. Memory that
is freed stays with the process, as in `segplug predict`. Writes experiments/results/speed/kernels.json and the table of
docs/speed.md.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from experiments.speed.blocks import build, by_torch, step, take_turns
from experiments.speed.results import record
from segplug.inference.memory import keep_freed_memory
from segplug.models.scsegamba import SCSegamba
from yoloplug import native
from yoloplug.native import library

OF_CONV = {"Involution": 1.0, "DDF": 1.0, "DynamicFilter": 1.0, "DCNv1": 2.5, "DCNv2": 2.5, "DCNv3": 2.5, "DCNv4": 2.5}
"""Block -> what forward and backward may take of a Conv's at (4, 64, 80, 80): issue 16's targets."""

BLOCKS = (*OF_CONV, "gnConv", "SeparableConv", "GhostUnit")
CASES = (*BLOCKS, "SCSegamba 512", "SCSegamba 256")


def measure(case: str, runs: int) -> Iterator[dict[str, Any]]:
    """A row for each mode. Raises AssertionError where kernels are farther from float64's results than torch is."""
    torch.manual_seed(0)
    if case in BLOCKS:
        module, x = build(case, 64), torch.randn(4, 64, 80, 80)
        conv = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.SiLU())
        wanted = (OF_CONV[case], "of a Conv") if case in OF_CONV else None
        modes = {"forward": None, "forward + backward": wanted}
    else:
        side = int(case.split()[1])
        module, x, conv = SCSegamba(drop_path=0.0).eval(), torch.randn(1, 3, side, side), None
        modes = {"forward": (0.8, "s")} if side == 512 else {"forward + backward": (0.2, "of torch")}
    for mode, target in modes.items():
        steps: dict[str, Callable[[], object]] = {
            "kernels": partial(step, module, x, mode),
            "torch": partial(by_torch, partial(step, module, x, mode)),
        }
        _compare(case, module, x)
        module.train(case in BLOCKS or mode != "forward")
        if conv is not None:
            steps["conv"] = partial(step, conv, x, mode)
            steps["conv"]()
        seconds = take_turns(steps, runs)
        row: dict[str, Any] = {"case": case, "mode": mode, "target": target}
        for key in seconds.keys() - {"kernels"}:
            pairs = zip(seconds["kernels"], seconds[key], strict=True)
            row[f"of_{key}"] = round(statistics.median(ours / theirs for ours, theirs in pairs), 3)
        row["share"] = round(statistics.median(_share_of_kernels(steps["kernels"]) for _ in range(3)), 3)
        row |= {f"{key}_ms": round(1e3 * statistics.median(values), 1) for key, values in seconds.items()}
        row |= {f"{key}_least_ms": round(1e3 * min(values), 1) for key, values in seconds.items()}
        yield row


def _share_of_kernels(step: Callable[[], object]) -> float:
    """Of a step's CPU time, what passes inside the C library: were it nothing, the rest would be left."""
    spent, call = [0.0], library.call

    def clocked(*given: Any) -> None:
        start = time.process_time()
        call(*given)
        spent[0] += time.process_time() - start

    with mock.patch.object(library, "call", clocked):
        start = time.process_time()
        step()
        return spent[0] / (time.process_time() - start)


def _compare(case: str, module: nn.Module, x: Tensor) -> None:
    """Outputs and the input's gradients, at whose kinks (ReLU, whole pixels) roundings part: twice as far at most."""

    def results(module: nn.Module = module, x: Tensor = x) -> list[Tensor]:
        given = x.clone().requires_grad_()
        y = module(given)
        y.square().mean().backward()
        assert given.grad is not None
        return [y.detach(), given.grad]

    exact = results(copy.deepcopy(module).double(), x.double())  # where kernels do not apply
    ours, theirs = results(), by_torch(results)
    assert isinstance(theirs, list)
    for value, other, expected in zip(ours, theirs, exact, strict=True):
        far = 2 * (other - expected).norm() + 1e-6 * expected.norm()
        assert (value - expected).norm() <= far, case


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, help="keep the other cases' rows")
    parser.add_argument("--runs", type=int, default=9, help="rounds of a case (default 9)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(native.status(), flush=True)
    if native.status().path is None:
        parser.exit(1)
    for case in options.only or CASES:
        rows = []
        for row in measure(case, options.runs):
            rows.append(row)
            beside = f", {row['of_conv']:.2f} of a Conv" if "of_conv" in row else ""
            print(
                f"{case:14s} {row['mode']:18s} {row['of_torch']:.2f} of torch's {row['torch_ms']} ms{beside}",
                flush=True,
            )
        record("kernels", rows, key=lambda row: row["case"])


if __name__ == "__main__":
    main()
