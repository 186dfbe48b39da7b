"""Score a checkpoint, or a folder of saved predictions, on full-size images of a split, in one pass.

One row an image is kept for paired statistics; everything else is sums, so memory does not grow with the set.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segplug.arrays import Floats, Mask, Pixels
from segplug.data.dataset import CrackDataset
from segplug.data.labels import NO_LABEL
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError, check_threshold
from segplug.evaluation.exclude import kept_images
from segplug.evaluation.protocol import seen_in_frame
from segplug.evaluation.saved_predictions import PredictionFolder
from segplug.evaluation.score_files import FILES, check_out, write_scores
from segplug.evaluation.sizes import SizeBias
from segplug.evaluation.threshold import best_threshold, threshold_samples
from segplug.evaluation.worst import WorstImages
from segplug.inference.memory import keep_freed_memory
from segplug.inference.predictor import load_checkpoint, log_odds
from segplug.inference.probability import crack_logits, pick_device
from segplug.inference.tiling import check_tile, tiled_probability
from segplug.metrics import DEFINITIONS, AllMetrics, to_frame
from segplug.models.create import parameters
from segplug.notes import Note, silent

CACHE_BYTES = 256 << 20
MOST_PICTURES = 1000
# Of each image: its place in the split, (H, W, 3) image, labelled and predicted cracks (H, W), False without a label.
OnImage = Callable[[int, Pixels, Mask, Mask], None]
# From a sample and its (H, W, 3) image: (H, W) probability, and (512, 512) logits for SCSegamba's protocol.
Predict = Callable[[Sample, Pixels], tuple[Floats, Floats]]


def evaluate(
    checkpoint: Path | str,
    data: CrackData | DataSource | Path | str,
    split: str = "test",
    device: str = "auto",
    threshold: float | Literal["auto"] = 0.5,
    out: Path | str | None = None,
    tile: int = 2048,
    note: Note = silent,
    threshold_from: str = "val",
    worst: int = 8,
    on_image: OnImage | None = None,
    exclude: Path | str | None = None,
    scales: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Metrics as segplug.metrics defines them, JSON-able: what was scored, "metrics", and "per_image" rows with counts.

    checkpoint: a file, or the name of a model that comes with the package.
    data: a folder, a `DataSource`, or either opened; pixels that it gives no label count nowhere.
    split: "train", "val" or "test" of the data, "all" where it has no splits.
    threshold: probability from which a pixel is crack, or "auto": the one best for F1 on the split `threshold_from`,
    which must not be the scored one; without a val folder "val" is what training held out.
    out: .json file, or folder for JSON, CSV and pictures of the `worst` images by IoU; either with a .npz of
    `segplug.metrics.Contributions`, which a name ending in .npz writes alone.
    tile: images above it on a side are scored from blended tiles, to bound memory.
    scales: average over the image at these sizes, 1 being its own; None takes the model's. SCSegamba's protocol
    (`scs_compat`) has a frame of its own, in which the network sees each image once.
    on_image: is given every image with its masks, for pictures and counts of one's own.
    exclude: text file of images (see `kept_images`) that a second score, "without", leaves out.
    Raises SegplugError on bad data, a bad checkpoint or a bad threshold.
    """
    if threshold != "auto":
        check_threshold(threshold)
    check_tile(tile)
    keep_freed_memory()
    place = pick_device(device)
    scored = _Scored(data, split, out, worst, note, exclude)
    predictor, model, about = load_checkpoint(checkpoint, device)
    predictor = predictor if scales is None else predictor.with_scales(scales)

    def whole(image: Pixels) -> Floats:
        return tiled_probability(image, predictor.at_scales, tile)

    def predict(sample: Sample, image: Pixels) -> tuple[Floats, Floats]:
        probability, logits = whole(image), crack_logits(model, to_frame(image), place)
        if not (np.isfinite(probability).all() and np.isfinite(logits).all()):
            raise SegplugError(
                f"{checkpoint}: the model gives NaN on {sample.image}; its weights are broken, train again"
            )
        return probability, logits

    chosen_on = "given"
    if threshold == "auto":
        samples = threshold_samples(scored.data, threshold_from, scored.dataset.samples, about["train"])
        threshold = best_threshold(samples, whole, note)
        chosen_on = f"best F1 on {len(samples)} images of {threshold_from}"
    about_run = {
        "checkpoint": str(checkpoint),
        "epoch": int(about["row"]["epoch"]),
        "model": about["model"],
        "parameters": parameters(model),
        **({"scales": list(predictor.scales)} if predictor.scales != (1,) else {}),
        **({"start": about["start"]} if about.get("start") else {}),
    }
    return scored.score(predict, threshold, {**about_run, "threshold_from": chosen_on}, on_image)


def evaluate_predictions(
    predictions: Path | str,
    data: CrackData | DataSource | Path | str,
    split: str = "test",
    threshold: float = 0.5,
    out: Path | str | None = None,
    note: Note = silent,
    worst: int = 8,
    on_image: OnImage | None = None,
    exclude: Path | str | None = None,
) -> dict[str, Any]:
    """`evaluate` for a folder of masks or probability maps of any program, see `PredictionFolder`.

    SCSegamba's protocol wants logits: they are taken from the probabilities and resized to its frame.
    Raises SegplugError on missing, additional, wrongly sized or ambiguous files.
    """
    check_threshold(threshold)
    scored = _Scored(data, split, out, worst, note, exclude)
    shapes = [scored.dataset.arrays(i)[1].shape for i in range(len(scored.dataset))]
    folder = PredictionFolder(Path(predictions), scored.dataset.samples, shapes)

    def predict(sample: Sample, image: Pixels) -> tuple[Floats, Floats]:
        probability, step = folder.probability(sample)
        return probability, to_frame(log_odds(probability, step))

    return scored.score(predict, threshold, {"predictions": str(predictions), "threshold_from": "given"}, on_image)


class _Scored:
    """The images to score and where the scores go; everything that can be refused is refused in the constructor."""

    def __init__(
        self,
        data: CrackData | DataSource | Path | str,
        split: str,
        out: Path | str | None,
        worst: int,
        note: Note,
        exclude: Path | str | None,
    ) -> None:
        if not 0 <= worst <= MOST_PICTURES:
            raise SegplugError(f"worst must be from 0 to {MOST_PICTURES}, got {worst}", key=("worst",))
        self.out = None if out is None else Path(out)
        check_out(self.out)
        self.data = opened = open_data(data)
        note(str(opened))
        self.about = {"data": opened.source.data, "format": opened.about, "split": split}
        self.dataset = CrackDataset(opened.samples(split), note=note, cache_bytes=CACHE_BYTES)
        self.exclude = exclude
        self.keep = None if exclude is None else kept_images(Path(exclude), [s.image for s in self.dataset.samples])
        self.worst = WorstImages(worst if self.out is not None and self.out.suffix not in FILES else 0)
        self.note = note

    def score(
        self, predict: Predict, threshold: float, about: dict[str, Any], on_image: OnImage | None = None
    ) -> dict[str, Any]:
        total, sizes, images = AllMetrics(threshold), SizeBias(), len(self.dataset)
        for i, sample in enumerate(self.dataset.samples):
            image, mask = self.dataset.arrays(i)
            target, labelled = mask == 1, mask != NO_LABEL
            valid = None if labelled.all() else labelled
            probability, logits = predict(sample, image)
            row = total.add(sample.name, probability, target, *seen_in_frame(logits, target, valid), valid)
            prediction = probability >= threshold
            sizes.add(target & labelled, prediction & labelled)
            self.worst.add(float(row["iou_crack"]), i, sample.name, prediction, valid)
            if on_image is not None:
                on_image(i, image, target & labelled, prediction & labelled)
            if 10 * (i + 1) // images > 10 * i // images and images >= 20:
                self.note(f"{i + 1}/{images} images")
        every = total.contributions()
        result = {
            **about,
            **self.about,
            "images": images,
            "threshold": threshold,
            "metrics": every.scores(),
            "definitions": DEFINITIONS,
            "sizes": sizes.summary(),
            "per_image": total.rows,
        }
        if self.keep is not None:
            result["without"] = {
                "file": str(self.exclude),
                "excluded": [str(name) for name in every.names[~self.keep]],
                "images": int(self.keep.sum()),
                "metrics": every.scores(self.keep),
            }
        if self.out is not None:
            write_scores(result, every, self.worst, self.dataset, self.out)
        return result
