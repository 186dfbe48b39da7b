"""Example images side by side: ground truth, baseline, plug-in."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from experiments.examples import SHOWN_CONFIDENCE
from experiments.report.plots import PALETTE
from experiments.report.rows import Comparison

__all__ = ["Example", "Key", "examples", "key"]

ENLARGE_TO_PX = 400
HIT, MISSED, FALSE_ALARM = "#00A878", "#3A86FF", "#FF6B35"

Key = list[tuple[str, str]]  # colour, what it means


@dataclass(frozen=True)
class Example:
    """One image: captions with JPEG bytes, the ground truth first."""

    name: str
    panels: list[tuple[str, bytes]]


def examples(comparison: Comparison) -> list[Example]:
    """Images that every model has saved, drawn for the models' first seeds."""
    saved = {}
    for label in comparison.labels:
        row = comparison.of(label)[0]
        path = comparison.folders[row["cell"]] / row["files"].get("examples", "")
        if path.is_file():  # rows may be kept without the pictures
            saved[label] = (path.parent, json.loads(path.read_text(encoding="utf-8")))
    if not saved:
        return []
    draw = _boxes if comparison.task == "detect" else _masks
    folder, first = next(iter(saved.values()))
    result = []
    for number, item in enumerate(first["shown"]):
        panels = [("Ground truth", draw(folder, item, True))]
        for label, (own_folder, own) in saved.items():
            panels.append((label, draw(own_folder, own["shown"][number], False)))
        result.append(Example(item["name"], panels))
    return result


def key(comparison: Comparison) -> tuple[Key, str]:
    """What the colours mean, and how the images were chosen."""
    chosen = "Images spread evenly over the evaluation set by file name, not chosen by result; first seed."
    if comparison.task == "segment":
        return [(HIT, "crack found"), (MISSED, "crack missed"), (FALSE_ALARM, "false alarm")], chosen
    classes = [name for name in comparison.rows[0].get("per_class", {})]
    colours = [(PALETTE[i % len(PALETTE)], name) for i, name in enumerate(classes)]
    return colours, f"{chosen} Predictions with confidence {SHOWN_CONFIDENCE} or more."


def _boxes(folder: Path, item: dict[str, Any], truth: bool) -> bytes:
    with Image.open(folder / item["image"]) as opened:
        picture = _enlarged(opened.convert("RGB"))
        factor = picture.width // opened.width
    pen = ImageDraw.Draw(picture)
    width = max(2, round(max(picture.size) / 180))
    for box in item["truth" if truth else "predictions"]:
        x, y, w, h = (value * factor for value in box["bbox"])
        pen.rectangle((x, y, x + max(w, 1), y + max(h, 1)), outline=PALETTE[box["class"] % len(PALETTE)], width=width)
    return _jpeg(picture)


def _masks(folder: Path, item: dict[str, Any], truth: bool) -> bytes:
    """Truth: the crack coloured as found. Model: found, missed and false pixels coloured, the rest greyed."""
    with Image.open(folder / item["image"]) as opened:
        pixels = np.asarray(opened.convert("L").convert("RGB"), dtype=np.float32) * 0.75
    label, predicted = _mask(folder / item["truth"]), _mask(folder / item["prediction"])
    if truth:
        areas = [(label, HIT)]
    else:
        areas = [(label & predicted, HIT), (label & ~predicted, MISSED), (predicted & ~label, FALSE_ALARM)]
    for area, colour in areas:
        pixels[area] = ImageColor.getrgb(colour)
    return _jpeg(_enlarged(Image.fromarray(pixels.astype(np.uint8))))


def _enlarged(picture: Image.Image) -> Image.Image:
    """A whole number of times as large, so that small images are seen pixel by pixel under crisp lines."""
    factor = max(1, ENLARGE_TO_PX // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _mask(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("L")) > 60  # shrinking greys thin cracks


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()
