"""Blocks against the straightforward formulation of their own forward pass: `python -m experiments.speed.blocks`.

Both run in turn in one process on one thread, results compared first; a ratio below 1 says that the block is faster.
CPU time of the process, so that other work on the machine counts little; the median over the runs.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import GBC, BottConv, Involution, gnConv, local_filter

__all__ = ["main"]

Forward = Callable[..., Tensor]


def plain_bott_conv(self: BottConv, x: Tensor) -> Tensor:
    return self.pointwise_2(self.depthwise(self.pointwise_1(x)))


def plain_gbc(self: GBC, x: Tensor) -> Tensor:
    def block(layers: nn.Sequential, x: Tensor) -> Tensor:
        bott, norm, _ = layers
        assert isinstance(bott, BottConv)
        return F.relu(norm(plain_bott_conv(bott, x)))

    return x + self.gain(block(self.block4, block(self.block2, block(self.block1, x)) * block(self.block3, x)))


def plain_gn_conv(self: gnConv, x: Tensor) -> Tensor:
    p, q = self.proj_in(x).split([self.dims[0], sum(self.dims)], dim=1)
    first, *gates = (self.dwconv(q) * self.scale).split(self.dims, dim=1)
    p = p * first
    for widen, gate in zip(self.pws, gates, strict=True):
        p = widen(p) * gate
    return self.proj_out(p)


def plain_involution(self: Involution, x: Tensor) -> Tensor:
    return local_filter(x, self.conv2(self.conv1(x).relu()), self.k)


CASES: list[tuple[str, Callable[[int], nn.Module], Forward, bool]] = [
    ("BottConv k=1", lambda c: BottConv(c, c, 1), plain_bott_conv, False),
    ("GBC", GBC, plain_gbc, False),
    ("GBC channels_last", GBC, plain_gbc, True),
    ("gnConv", gnConv, plain_gn_conv, False),
    ("Involution channels_last", Involution, plain_involution, True),
]
"""Name, block of a width, its straightforward forward, whether model and map are in channels_last."""


def measure(runs: int) -> Iterator[dict[str, Any]]:
    """One row a case, width and mode. Raises AssertionError where the results differ by more than 1e-5."""
    for name, build, plain, channels_last in CASES:
        for c, size in ((64, 80), (256, 20)):
            torch.manual_seed(0)
            block = build(c)
            reference = copy.deepcopy(block)
            reference.forward = MethodType(plain, reference)
            x = torch.randn(4, c, size, size)
            if channels_last:
                x = x.to(memory_format=torch.channels_last)
                block, reference = (m.to(memory_format=torch.channels_last) for m in (block, reference))
            for mode, train in (("forward", False), ("forward + backward", True)):
                x.requires_grad_(train)
                with torch.set_grad_enabled(train):
                    y, expected = block(x).detach(), reference(x).detach()
                assert (y - expected).abs().max() <= 1e-5 * expected.abs().max(), name
                ratio, ms = _ratio(block, reference, x, train, runs)
                yield {"block": name, "c": c, "size": size, "mode": mode, "ratio": ratio, "plain_ms": ms}


def _ratio(block: nn.Module, reference: nn.Module, x: Tensor, train: bool, runs: int) -> tuple[float, float]:
    """Median of time(block) / time(reference), and the reference's median in ms; the first run warms up."""
    times: list[list[float]] = []
    for _ in range(runs + 1):
        times.append([])
        for module in (block, reference):
            start = time.process_time()
            with torch.set_grad_enabled(train):
                y = module(x)
            if train:
                y.backward(torch.ones_like(y))
            times[-1].append(time.process_time() - start)
    return statistics.median(a / b for a, b in times[1:]), 1e3 * statistics.median(b for _, b in times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, with torch's version")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for row in measure(options.runs):
        rows.append(row)
        case = f"{row['block']:26s} {row['c']:4d} x {row['size']}²  {row['mode']:19s}"
        print(f"{case} {row['ratio']:5.2f} of {row['plain_ms']:.0f} ms", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({"torch": torch.__version__, "threads": 1, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
