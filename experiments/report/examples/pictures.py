"""Chosen images side by side: ground truth, baseline, plug-ins; one colour each for found, missed and invented."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from experiments.cells.pictures import KEPT, SHOWN_CONFIDENCE
from experiments.cells.record import read_json
from experiments.errors import SpecError
from experiments.metrics.box_matching import by_image
from experiments.report.comparison import Comparison
from experiments.report.examples.choice import RUN_AGAIN, SCORE_NAME, choose, image_scores, matched
from segplug.data.images.reading import UNREADABLE
from segplug.page.palette import FALSE_ALARM, HIT, MISS, rgb

__all__ = ["Example", "examples", "how_chosen"]

ENLARGE_TO_PX = 400


@dataclass(frozen=True)
class Example:
    """One image: its name, why it is shown, and captions with JPEG bytes, the ground truth first."""

    name: str
    reasons: list[str]
    panels: list[tuple[str, bytes]]


def examples(comparison: Comparison) -> list[Example]:
    """Images that `choose` picks, drawn for each model's first seed."""
    scores, names = image_scores(comparison)
    cells = {label: _open(comparison, label, min(scores[label])) for label in comparison.labels if label in scores}
    result = []
    for choice in choose(comparison, scores, names):
        panels = [("Ground truth", next(iter(cells.values())).panel(choice.index, truth=True))]
        for label, cell in cells.items():
            score = scores[label][min(scores[label])][choice.index]
            caption = f"{label}, {SCORE_NAME[comparison.task]} {score:.2f}"
            panels.append((caption, cell.panel(choice.index, truth=False)))
        result.append(Example(choice.name, choice.reasons, panels))
    return result


def how_chosen(comparison: Comparison) -> str:
    """What the scores mean, and which images could have been chosen."""
    score = {
        "detect": f"F1 of the boxes with confidence {SHOWN_CONFIDENCE} or more, own class, IoU 0.5 or more",
        "segment": "IoU of the crack",
    }[comparison.task]
    return (
        f"Chosen by result: for each model the image where it gains and where it loses most against the baseline, mean "
        f"over shared seeds, and the images that are easiest and hardest for all. Score: {score}. Drawn: first seed. "
        f"Candidates: the evaluation set, of more than {KEPT} images {KEPT} spread evenly. Such extremes show what can "
        "happen, not what is usual."
    )


class _Boxes:
    """One detection cell, read once for all its pictures."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self.pictures = pictures
        truth = read_json(folder / "ground_truth.json", RUN_AGAIN)
        found = read_json(folder / "predictions.json", RUN_AGAIN)
        self.images, self.objects = truth["images"], by_image(truth["annotations"])
        self.found = by_image([p for p in found if p["score"] >= SHOWN_CONFIDENCE])

    def panel(self, index: int, truth: bool) -> bytes:
        """Truth: all objects as found. Model: its boxes as found or false alarm, and the objects it missed."""
        record = self.images[index]
        objects = [item for item in self.objects.get(record["id"], []) if not item["iscrowd"]]
        coloured = [(item["bbox"], HIT) for item in objects]
        if not truth:
            found = sorted(self.found.get(record["id"], []), key=lambda p: -p["score"])
            taken = matched(found, objects)
            coloured = [(item["bbox"], MISS) for number, item in enumerate(objects) if number not in taken]
            coloured += [(p["bbox"], HIT if took >= 0 else FALSE_ALARM) for p, took in zip(found, taken, strict=True)]
        picture = _enlarged(_read_picture(self.pictures / f"{index}.jpg", "RGB"))
        factor = picture.width / record["width"]
        pen = ImageDraw.Draw(picture)
        width = max(2, round(max(picture.size) / 180))
        for box, colour in coloured:
            x, y, w, h = (value * factor for value in box)
            pen.rectangle((x, y, x + max(w, 1), y + max(h, 1)), outline=colour, width=width)
        return _jpeg(picture)


class _Masks:
    """One segmentation cell."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self.pictures = pictures
        path = folder / "masks.npz"
        try:
            with np.load(path) as masks:
                self.masks = dict(masks)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise SpecError(f"{path} is cut or damaged ({error}); delete {RUN_AGAIN} and run the spec again") from error

    def panel(self, index: int, truth: bool) -> bytes:
        """Truth: the crack coloured as found. Model: found, missed and false pixels coloured. The rest is greyed."""
        grey = _read_picture(self.pictures / f"{index}.jpg", "L").convert("RGB")
        pixels = np.asarray(grey, dtype=np.float32) * 0.75
        label = np.asarray(_read_picture(self.pictures / f"{index}-truth.png", "L")) > 0
        areas = [(label, HIT)]
        if not truth:
            found = self.masks[str(index)]
            areas = [(label & found, HIT), (label & ~found, MISS), (found & ~label, FALSE_ALARM)]
        for area, colour in areas:
            pixels[area] = rgb(colour)
        return _jpeg(_enlarged(Image.fromarray(pixels.astype(np.uint8))))


def _open(comparison: Comparison, label: str, seed: int) -> _Boxes | _Masks:
    row = next(row for row in comparison.of(label) if row["seed"] == seed)
    folder = comparison.folders[row["cell"]]
    return (_Boxes if comparison.task == "detect" else _Masks)(folder, (folder / row["files"]["pictures"]).resolve())


def _read_picture(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return opened.convert(mode)
    except UNREADABLE as error:
        raise SpecError(
            f"{path} is no whole picture ({error}); delete it and {RUN_AGAIN} and run the spec again"
        ) from error


def _enlarged(picture: Image.Image) -> Image.Image:
    """A whole number of times as large, so that small images are seen pixel by pixel under crisp lines."""
    factor = max(1, ENLARGE_TO_PX // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()
