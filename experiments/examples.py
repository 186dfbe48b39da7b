"""A few evaluation images kept beside the row, with truth and prediction, so that a report needs no data set."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from experiments.record import write_json

__all__ = ["SHOWN_CONFIDENCE", "pick", "save_detections", "save_masks"]

MOST, SIDE_PX = 4, 512
SHOWN_CONFIDENCE = 0.25


def pick(count: int) -> list[int]:
    """Up to four indices, evenly spread, the same for every model: not chosen by result."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(MOST, count))})


def save_detections(
    folder: Path, images: tuple[Path, ...], truth: dict[str, Any], predictions: list[dict[str, Any]]
) -> None:
    """Boxes x, y, w, h in pixels of the shrunk JPEG; predictions below SHOWN_CONFIDENCE are left out."""
    shown: list[dict[str, Any]] = []
    for index in pick(len(images)):
        with Image.open(images[index]) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        scale = _shrink(picture, folder / "examples" / f"{len(shown)}.jpg")
        shown.append(
            {
                "name": images[index].name,
                "image": f"{len(shown)}.jpg",
                "truth": [
                    {"bbox": _scaled(a["bbox"], scale), "class": a["category_id"] - 1}
                    for a in truth["annotations"]
                    if a["image_id"] == index + 1
                ],
                "predictions": [
                    {"bbox": _scaled(p["bbox"], scale), "class": p["category_id"] - 1, "score": p["score"]}
                    for p in predictions
                    if p["image_id"] == index + 1 and p["score"] >= SHOWN_CONFIDENCE
                ],
            }
        )
    names = [category["name"] for category in truth["categories"]]
    write_json(folder / "examples" / "examples.json", {"classes": names, "shown": shown})


def save_masks(
    folder: Path, triples: list[tuple[str, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]]
) -> None:
    """Name, RGB image, true mask and predicted mask, all of one size -> shrunk JPEG and two PNGs each."""
    shown = []
    for number, (name, image, truth, prediction) in enumerate(triples):
        files = {"image": f"{number}.jpg", "truth": f"{number}-truth.png", "prediction": f"{number}-prediction.png"}
        _shrink(Image.fromarray(image), folder / "examples" / files["image"])
        _shrink(Image.fromarray(truth.astype(np.uint8) * 255), folder / "examples" / files["truth"])
        _shrink(Image.fromarray(prediction.astype(np.uint8) * 255), folder / "examples" / files["prediction"])
        shown.append({"name": name, **files})
    write_json(folder / "examples" / "examples.json", {"shown": shown})


def _shrink(picture: Image.Image, path: Path) -> float:
    """Save with the longer side at most SIDE_PX; the factor applied."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = min(1.0, SIDE_PX / max(picture.size))
    if scale < 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    picture.save(path, quality=85)
    return scale


def _scaled(box: list[float], scale: float) -> list[float]:
    return [round(value * scale, 2) for value in box]
