"""Which images are shown: where a model gains or loses most against the baseline, and the easiest and the hardest.

The score of an image is iou_crack (segmentation), or F1 of the boxes that are drawn (confidence 0.25 or more, own
class, IoU 0.5 or more); an image with nothing to find and nothing found scores 1.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from experiments.cells.pictures import SHOWN_CONFIDENCE, kept
from experiments.cells.record import read_json
from experiments.metrics.box_matching import box_iou, by_image, match_boxes, same_class
from experiments.report.comparison import Comparison

__all__ = ["RUN_AGAIN", "SCORE_NAME", "Choice", "ImageScores", "choose", "image_scores", "matched"]

RUN_AGAIN = "the cell's row.json"
# What is read of a cell's folder here and where it is drawn, and the files of one picture after its index.
_FILES = {"detect": ("ground_truth.json", "predictions.json"), "segment": ("per_image.json", "masks.npz")}
_PICTURE = {"detect": (".jpg",), "segment": (".jpg", "-truth.png")}
_LEAST = 0.005  # what two digits show
SCORE_NAME = {"detect": "F1", "segment": "IoU"}
ImageScores = dict[str, dict[int, dict[int, float]]]  # label -> seed -> index of the image -> score


@dataclass(frozen=True)
class Choice:
    """One image of the evaluation set, its file name, and why it is shown."""

    index: int
    name: str
    reasons: list[str]


def image_scores(comparison: Comparison) -> tuple[ImageScores, list[str]]:
    """Scores of the images that a report may show, and all images' names; without the cells that lack a file of it."""
    scores: ImageScores = {}
    names: list[str] = []
    for row in comparison.rows:
        read = _boxes if comparison.task == "detect" else _cracks
        folder = comparison.folders[row["cell"]]
        pictures = folder / row["files"].get("pictures", "")
        if not pictures.is_dir() or not all((folder / name).is_file() for name in _FILES[comparison.task]):
            continue
        own, listed = read(folder)
        if all((pictures / f"{index}{end}").is_file() for index in own for end in _PICTURE[comparison.task]):
            names = listed
            scores.setdefault(row["label"], {})[row["seed"]] = own
    return scores, names


def choose(comparison: Comparison, scores: ImageScores, names: list[str]) -> list[Choice]:
    """Largest gain and loss of each model (mean over the seeds it shares with the baseline), easiest, hardest."""
    found: dict[int, list[str]] = {}
    base = scores.get(comparison.baseline, {})
    for label in comparison.labels:
        seeds = sorted(scores.get(label, {}).keys() & base.keys())
        if label == comparison.baseline or not seeds:
            continue
        apart = {i: mean(scores[label][seed][i] - base[seed][i] for seed in seeds) for i in base[seeds[0]]}
        for word, index in (("gain", max(apart, key=apart.__getitem__)), ("loss", min(apart, key=apart.__getitem__))):
            if abs(apart[index]) >= _LEAST and (apart[index] > 0) == (word == "gain"):
                found.setdefault(index, []).append(f"largest {word} of {label}, {apart[index]:+.2f}")
    each = [run for runs in scores.values() for run in runs.values()]
    middle = {i: mean(run[i] for run in each) for i in (each[0] if each else {})}
    for word, index in _extremes(middle):
        found.setdefault(index, []).append(f"{word} for all models, {middle[index]:.2f}")
    return [Choice(index, names[index], reasons) for index, reasons in found.items()]


def matched(found: list[dict[str, Any]], objects: list[dict[str, Any]]) -> np.ndarray:
    """For each prediction, best first, the index of the object it takes, or -1."""
    return match_boxes(np.where(same_class(found, objects), box_iou(found, objects), 0.0))[0]


def _extremes(middle: dict[int, float]) -> list[tuple[str, int]]:
    if not middle:
        return []
    return [("hardest", min(middle, key=middle.__getitem__)), ("easiest", max(middle, key=middle.__getitem__))]


def _cracks(folder: Path) -> tuple[dict[int, float], list[str]]:
    rows = read_json(folder / "per_image.json", RUN_AGAIN)
    return {index: float(rows[index]["iou_crack"]) for index in kept(len(rows))}, [row["name"] for row in rows]


def _boxes(folder: Path) -> tuple[dict[int, float], list[str]]:
    truth = read_json(folder / "ground_truth.json", RUN_AGAIN)
    found = read_json(folder / "predictions.json", RUN_AGAIN)
    objects, shown = by_image(truth["annotations"]), by_image([p for p in found if p["score"] >= SHOWN_CONFIDENCE])
    scores = {}
    for index in kept(len(truth["images"])):
        image = truth["images"][index]["id"]
        wanted = [item for item in objects.get(image, []) if not item["iscrowd"]]
        own = sorted(shown.get(image, []), key=lambda p: -p["score"])
        right, all_boxes = int((matched(own, wanted) >= 0).sum()), len(own) + len(wanted)
        scores[index] = 2 * right / all_boxes if all_boxes else 1.0
    return scores, [image["file_name"] for image in truth["images"]]
