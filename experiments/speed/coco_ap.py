"""COCO AP with bootstrap intervals on a large evaluation: `python -m experiments.speed.coco_ap`.

Synthetic images with a few objects and many detections each, as detectors leave them at confidence 0.001. Per model and
seed: matching, then every metric on 1,000 samples of the images; a process a core. Seconds are of the CPU, without the
drawing of the images, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from experiments.metrics.coco_ap import CocoImages
from experiments.speed.results import record
from experiments.statistics.interval import image_samples

CLASSES = 3


def synthetic(images: int, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO dictionary and results: one to six objects an image, nine in ten found, and 14 false alarms."""
    rng, chance = np.random.default_rng(0), np.random.default_rng(seed + 1)
    counts = rng.integers(1, 7, images)
    owner = np.repeat(np.arange(1, images + 1), counts)
    boxes = np.concatenate([rng.uniform(0, 400, (len(owner), 2)), rng.lognormal(4, 0.8, (len(owner), 2))], axis=1)
    kinds = rng.integers(1, CLASSES + 1, len(owner))
    targets = {
        "images": [{"id": k, "file_name": f"{k}.jpg"} for k in range(1, images + 1)],
        "categories": [{"id": k, "name": f"c{k}"} for k in range(1, CLASSES + 1)],
        "annotations": [
            {
                "id": k,
                "image_id": int(i),
                "category_id": int(c),
                "bbox": b.tolist(),
                "area": float(b[2] * b[3]),
                "iscrowd": 0,
            }
            for k, (i, c, b) in enumerate(zip(owner, kinds, boxes, strict=True), start=1)
        ],
    }
    seen = chance.random(len(owner)) < 0.9
    moved = boxes + chance.normal(0, 0.08, boxes.shape) * np.tile(boxes[:, 2:], 2)
    wrong = np.repeat(np.arange(1, images + 1), 14)
    alarms = np.concatenate(
        [chance.uniform(0, 400, (len(wrong), 2)), chance.lognormal(4, 0.8, (len(wrong), 2))], axis=1
    )
    image = np.concatenate([owner[seen], wrong])
    kind = np.concatenate([kinds[seen], chance.integers(1, CLASSES + 1, len(wrong))])
    box = np.concatenate([moved[seen], alarms])
    score = np.concatenate([chance.beta(4, 2, int(seen.sum())), chance.beta(1, 6, len(wrong))])
    predictions = [
        {"image_id": int(i), "category_id": int(c), "bbox": b.tolist(), "score": float(s)}
        for i, c, b, s in zip(image, kind, box, score, strict=True)
    ]
    return targets, predictions


def cell(seed: int, images: int, draws: int) -> dict[str, float]:
    """CPU seconds of matching and of all metrics on the draws, and the AP's mean and standard error."""
    targets, predictions = synthetic(images, seed)
    samples = image_samples(np.arange(images), draws)
    start = time.process_time()
    made = CocoImages.of(targets, predictions)
    middle = time.process_time()
    scores = made.scores(samples)["AP"]
    end = time.process_time()
    return {"matching_s": middle - start, "draws_s": end - middle, "ap": scores.mean(), "error": scores.std()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, value in (("images", 5000), ("draws", 1000), ("cells", 21), ("jobs", os.cpu_count())):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default: {value}")
    given = parser.parse_args()
    cells = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for one in pool.map(partial(cell, images=given.images, draws=given.draws), range(given.cells)):
            cells.append(one)
            spent = f"{one['matching_s']:.1f} + {one['draws_s']:.1f} s"
            print(f"cell {len(cells)}: AP {one['ap']:.3f} ± {one['error']:.4f}, {spent}", flush=True)
    row = {
        **{name: getattr(given, name) for name in ("images", "draws", "cells")},
        **{name: round(median(one[name] for one in cells), 2) for name in ("matching_s", "draws_s")},
        "load": round(os.getloadavg()[0], 1),
    }
    record("coco_ap", [row], lambda row: (row["images"], row["draws"]))


if __name__ == "__main__":
    main()
