"""Detection: COCO's annotations and results of the evaluation images."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageDraw

from experiments.cells.record import read_json
from experiments.cells.row import Row
from experiments.evidence.compact import COMPACT, opened
from experiments.evidence.pictures import RUN_AGAIN, enlarged, has_pictures, jpeg, kept, read_picture
from experiments.metrics.box_matching import Items, box_iou, by_image, match_boxes, same_class
from experiments.metrics.coco_ap import CocoImages
from segplug.page.palette import FALSE_ALARM, HIT, MISS

TARGETS, PREDICTIONS = "ground_truth.json", "predictions.json"
_SHOWN_CONFIDENCE = 0.25  # boxes of less are not drawn


def open_images(row: Row, folder: Path) -> CocoImages | None:
    paths = [folder / name for name in row["files"].get("per_image", [])]
    if len(paths) == 2 and all(path.is_file() for path in paths):
        return CocoImages.of(*(read_json(path, RUN_AGAIN) for path in paths))
    compact = folder / COMPACT
    return opened(compact, CocoImages.load_compact) if compact.is_file() else None


class BoxPanels:
    """One cell's boxes. The score of an image is F1 of those that are drawn; with nothing to find and to draw 1."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self._pictures = pictures
        targets, predictions = (read_json(folder / name, RUN_AGAIN) for name in (TARGETS, PREDICTIONS))
        self._images, self._targets = targets["images"], by_image(targets["annotations"])
        self._predictions = by_image([p for p in predictions if p["score"] >= _SHOWN_CONFIDENCE])
        self.names = [str(image["file_name"]) for image in self._images]

    @cached_property
    def scores(self) -> dict[int, float]:
        scores = {}
        for index in kept(len(self._images)):
            targets, predictions, taken = self._matched(index)
            boxes = len(predictions) + len(targets)
            scores[index] = 2 * int((taken >= 0).sum()) / boxes if boxes else 1.0
        return scores

    def panel(self, index: int, target: bool) -> bytes:
        """All objects as found; or the model's boxes as found or false alarm, and the objects it missed."""
        targets, predictions, taken = self._matched(index)
        coloured = [(item["bbox"], HIT) for item in targets]
        if not target:
            coloured = [(item["bbox"], MISS) for number, item in enumerate(targets) if number not in taken]
            coloured += [
                (p["bbox"], HIT if took >= 0 else FALSE_ALARM) for p, took in zip(predictions, taken, strict=True)
            ]
        picture = enlarged(read_picture(self._pictures / f"{index}.jpg", "RGB"))
        factor = picture.width / self._images[index]["width"]
        pen = ImageDraw.Draw(picture)
        width = max(2, round(max(picture.size) / 180))
        for box, colour in coloured:
            x, y, w, h = (value * factor for value in box)
            pen.rectangle((x, y, x + max(w, 1), y + max(h, 1)), outline=colour, width=width)
        return jpeg(picture)

    def _matched(self, index: int) -> tuple[Items, Items, Any]:
        """Objects, shown predictions best first, and for each of these the index of the object it takes, or -1."""
        image = self._images[index]["id"]
        targets = [item for item in self._targets.get(image, []) if not item["iscrowd"]]
        predictions = sorted(self._predictions.get(image, []), key=lambda p: -p["score"])
        iou = np.where(same_class(predictions, targets), box_iou(predictions, targets), 0.0)
        return targets, predictions, match_boxes(iou)[0]


def open_panels(row: Row, folder: Path) -> BoxPanels | None:
    if "pictures" not in row["files"] or not all((folder / name).is_file() for name in (TARGETS, PREDICTIONS)):
        return None
    pictures = (folder / row["files"]["pictures"]).resolve()
    panels = BoxPanels(folder, pictures)
    return panels if has_pictures(pictures, len(panels.names), ".jpg") else None
