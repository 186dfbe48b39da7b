"""Every block against its straightforward formulation and against a plain Conv: `python -m experiments.speed.blocks`.

One process, one thread; block, formulation (experiments/speed/formulations) and a 3x3 Conv with BatchNorm and SiLU take
turns, results are compared first; a formulation has torch's operations only, also in the block's layers that it calls.
Times are CPU time of the process, so that other work on the machine counts little; a ratio is the median over the
rounds, its middle half beside it. Memory is the most that a pass held at a time beyond weights and input. Where a
training pass without kernels is the same operations as the formulation's, the row says so: it has only the kernels to
be faster by. Writes experiments/results/speed/blocks.json and the tables of docs/speed.md.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.speed.formulations import FORMULATIONS
from experiments.speed.results import record
from yoloplug import BLOCKS

SHAPES = ((64, 80), (256, 20))
"""Channels, and side of the square map, of an early and a late layer of a detector; batch 4."""

LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
LONG_S = 1.5
"""CPU seconds after which a case has rounds enough (three at least)."""


Pass = Callable[[Tensor], Tensor]


def build(name: str, c: int) -> nn.Module:
    """The block with its defaults, c channels in and out, in training mode; what starts at zero gets visible values."""
    torch.manual_seed(0)
    block: nn.Module = BLOCKS[name].cls(*[c] * (2 if BLOCKS[name].kind == "conv" else 1))
    with torch.no_grad():
        for parameter in block.parameters():
            if parameter.abs().max() < 1e-3:
                parameter.normal_(std=0.1 / math.sqrt(parameter[0].numel()))
    return block


def measure(name: str, runs: int) -> Iterator[dict[str, Any]]:
    """One row for each shape, layout and mode. Raises AssertionError where results differ by more than 1e-4."""
    for c, size in SHAPES:
        for layout, memory_format in LAYOUTS.items():
            block = build(name, c).to(memory_format=memory_format)
            other = copy.deepcopy(block)
            conv = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.SiLU())
            x = torch.randn(4, c, size, size).to(memory_format=memory_format)
            passes: dict[str, Pass] = {"block": block, "formulation": partial(_formulation, name, other)}
            same = operations(block, x) == operations(passes["formulation"], x)
            passes["conv"] = conv.to(memory_format=memory_format)
            for mode in ("forward", "forward + backward"):
                steps = {key: partial(step, run, x, mode) for key, run in passes.items()}
                close(name, steps["block"](), steps["formulation"]())
                seconds = take_turns(steps, runs)
                row = {"block": name, "c": c, "size": size, "layout": layout, "mode": mode, "same": same}
                for key in ("formulation", "conv"):
                    ratios = [ours / theirs for ours, theirs in zip(seconds["block"], seconds[key], strict=True)]
                    row[f"of_{key}"] = round(statistics.median(ratios), 3)
                    row[f"of_{key}_middle"] = [round(ratio, 3) for ratio in statistics.quantiles(ratios, n=4)[::2]]
                row |= {f"{key}_ms": round(1e3 * statistics.median(values), 2) for key, values in seconds.items()}
                row |= {f"{key}_mib": round(peak_mib(call), 1) for key, call in steps.items()}
                yield row


def _formulation(name: str, block: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = by_torch(partial(FORMULATIONS[name], block, x))
    return y


def step(run: Pass, x: Tensor, mode: str) -> Tensor:
    if mode == "forward":
        with torch.no_grad():
            return run(x)
    y = run(x.detach().requires_grad_())
    y.backward(torch.ones_like(y))
    return y.detach()


def operations(run: Pass, x: Tensor) -> Counter[Any]:
    """How often a training pass calls which operation of torch on maps and kernels of which sizes; views are none."""
    with _Recorder() as recorder:
        step(run, x, "forward + backward")
    return recorder.seen


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        sizes = tuple(tuple(value.shape) for value in args if isinstance(value, Tensor) and value.dim() > 1)
        name = func.overloadpacket.__name__.rstrip("_")
        if sizes and not func.is_view and name != "_unsafe_view":
            self.seen[name, sizes] += 1
        return func(*args, **(kwargs or {}))


def by_torch(call: Callable[[], Any]) -> Any:
    """Without C kernels."""
    before = os.environ.get("YOLOPLUG_NATIVE")
    os.environ["YOLOPLUG_NATIVE"] = "0"
    try:
        return call()
    finally:
        if before is None:
            del os.environ["YOLOPLUG_NATIVE"]
        else:
            os.environ["YOLOPLUG_NATIVE"] = before


def close(name: str, value: Tensor, expected: Tensor) -> None:
    """SCConv's gate may flip within rounding of its threshold, and the 3x3 behind it spreads that over all channels."""
    wrong = (value - expected).abs() > 1e-4 * expected.abs().max()
    assert wrong.float().mean() <= (0.05 if name == "SCConv" else 0), name


def take_turns(steps: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """CPU seconds of each, in another order every round: what runs after a larger one finds colder caches.

    The comparison before has warmed them up.
    """
    seconds: dict[str, list[float]] = {key: [] for key in steps}
    orders = list(permutations(steps.items()))
    for turn in range(runs):
        for key, call in orders[turn % len(orders)]:
            start = time.process_time()
            call()
            seconds[key].append(time.process_time() - start)
        if turn >= 2 and sum(map(sum, seconds.values())) > LONG_S:
            break
    return seconds


def peak_mib(call: Callable[[], object]) -> float:
    """The most that torch had allocated at a time during the call, in MiB beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        call()
    events = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only", nargs="+", metavar="BLOCK", choices=sorted(BLOCKS), help="keep the other blocks' rows"
    )
    parser.add_argument("--runs", type=int, default=60, help="most rounds of a case (default 60)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only or sorted(BLOCKS):
        rows = list(measure(name, options.runs))
        for row in rows:
            print(described(row), flush=True)
        record("blocks", rows, key=lambda row: row["block"])


def described(row: dict[str, Any]) -> str:
    case = f"{row['block']:18s} {row['c']:4d} x {row['size']}² {row['layout']:13s} {row['mode']:18s}"
    times = f"{row['of_formulation']:5.2f} of {row['formulation_ms']:.0f} ms, {row['of_conv']:5.2f} of a Conv"
    return f"{case} {times}, {row['block_mib']:.0f} of {row['formulation_mib']:.0f} MiB"


if __name__ == "__main__":
    main()
