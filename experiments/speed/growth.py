"""How time grows with what a user can make larger, one plot each: `python -m experiments.speed.growth`.

CPU time on one thread, the best of some runs; the exponent is the slope of a line through the logarithms. Writes
experiments/results/speed/growth.json, docs/growth.svg and the sentences of docs/speed.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from experiments.metrics.coco_ap import CocoImages
from experiments.report.comparison import compare
from experiments.report.rows import read_run
from experiments.speed.results import PAGE, RESULTS, record
from segplug.inference.tiling import tile_count, tiled_probability
from yoloplug import gnConv
from yoloplug.bridge.model import load

Make = Callable[[int], Callable[[], object]]


def image_size(size: int) -> Callable[[], object]:
    torch.manual_seed(0)
    return partial(load("yolov8n-C2f_gnConv.yaml").eval(), torch.rand(1, 3, size, size))


def channels(c: int) -> Callable[[], object]:
    return partial(gnConv(c, 3), torch.randn(1, c, 40, 40))


def order(n: int) -> Callable[[], object]:
    return partial(gnConv(256, n), torch.randn(1, 256, 40, 40))


def images(n: int) -> Callable[[], object]:
    """COCO AP of n images with 7 objects and 20 predictions each, matching included."""
    draw = np.random.default_rng(0)

    def boxes(count: int) -> list[list[float]]:
        return np.concatenate([draw.uniform(0, 400, (count, 2)), draw.uniform(8, 200, (count, 2))], axis=1).tolist()

    targets: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 640} for i in range(n)],
        "categories": [{"id": c, "name": str(c)} for c in range(3)],
        "annotations": [
            {"id": 7 * i + j, "image_id": i, "category_id": j % 3, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i in range(n)
            for j, box in enumerate(boxes(7))
        ],
    }
    predictions = [
        {"image_id": i, "category_id": j % 3, "bbox": box, "score": float(draw.uniform())}
        for i in range(n)
        for j, box in enumerate(boxes(20))
    ]
    return lambda: CocoImages.of(targets, predictions).scores(np.ones((1, n), dtype=np.int64))


def tiles(n: int) -> Callable[[], object]:
    """Cutting and blending of about n tiles of 256 px, without a network."""
    side = 256 + (256 - 128) * (round(n**0.5) - 1)
    picture = np.zeros((side, side, 3), dtype=np.uint8)
    assert tile_count((side, side), 256) == round(n**0.5) ** 2
    return lambda: tiled_probability(picture, lambda part: part[..., 0].astype(np.float32), 256)


def cells(n: int) -> Callable[[], object]:
    """Verdicts of the first n cells of a committed run, three seeds a model: 1,000 samples of each one's 87 images."""
    run = read_run(RESULTS.parent / "bccd-finetune")
    labels = list(dict.fromkeys(row["label"] for row in run.rows))[: n // 3]
    part = replace(run, rows=[row for row in run.rows if row["label"] in labels])
    return lambda: compare([part])[0].verdicts


CASES: dict[str, tuple[Make, tuple[int, ...], float, str]] = {
    "image size": (image_size, (128, 192, 256, 384, 512), 2, "every pixel costs the same; small maps pay for calls"),
    "channels": (channels, (32, 64, 128, 256, 512), 2, "1x1 convolutions grow with the square, the 7x7 depthwise by 1"),
    "gnConv's order": (order, (1, 2, 3, 4, 5), 0, "a step more is half as wide as the one before it"),
    "images evaluated": (images, (50, 100, 200, 400, 800), 1, "an image's matches do not depend on the others"),
    "tiles": (tiles, (4, 16, 64, 256), 1, "each tile is cut, weighed and added once; large pictures leave the cache"),
    "cells": (cells, (6, 12, 18, 24), 1, "each cell's images are drawn once, a verdict compares what two models got"),
}
"""Name -> how a case of a size is made, sizes, the exponent that it should have, and why."""


LONG_S = 10.0
"""CPU seconds after which one run that counts is enough."""


def best_ms(call: Callable[[], object], runs: int) -> float:
    seconds = []
    with torch.inference_mode():
        for _ in range(runs + 1):
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
            if len(seconds) > 1 and sum(seconds) > LONG_S:
                break
    return 1e3 * min(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (make, sizes, expected, why) in CASES.items():
        times = [round(best_ms(make(size), options.runs), 3) for size in sizes]
        exponent = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        rows.append(
            {
                "what": name,
                "sizes": sizes,
                "ms": times,
                "exponent": round(exponent, 2),
                "expected": expected,
                "why": why,
            }
        )
        print(rows[-1], flush=True)
    draw(rows)
    record("growth", rows, key=lambda row: row["what"])


def draw(rows: list[dict[str, Any]]) -> None:
    """growth.svg: time over size on logarithmic axes, beside a line of the expected slope."""
    plt.rcParams["svg.hashsalt"] = "growth"
    figure, axes = plt.subplots(1, len(rows), figsize=(3 * len(rows), 2.8), layout="constrained")
    for axis, row in zip(axes, rows, strict=True):
        sizes, ms = np.array(row["sizes"], dtype=float), np.array(row["ms"])
        line = ms[-1] * (sizes / sizes[-1]) ** row["expected"]
        axis.loglog(sizes, line, ":", color="grey", label=f"exponent {row['expected']}")
        axis.loglog(sizes, ms, "o-", color="C0", label=f"measured, {row['exponent']}")
        axis.set(
            title=row["what"], xticks=sizes, xticklabels=row["sizes"], ylim=(min(*ms, *line) / 2, max(*ms, *line) * 2)
        )
        axis.minorticks_off()
        axis.legend(fontsize="small", frameon=False)
    axes[0].set_ylabel("CPU time, ms")
    figure.savefig(PAGE.with_name("growth.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
