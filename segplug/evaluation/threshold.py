"""Choose the probability from which a pixel is crack on validation images, never on the images being scored."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from segplug.arrays import Floats, Pixels
from segplug.data.dataset import CrackDataset
from segplug.data.labels import NO_LABEL
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.split import split_train_val
from segplug.errors import SegplugError
from segplug.metrics import MetricSum
from segplug.notes import Note, silent


def threshold_samples(data: CrackData, source: str, scored: Sequence[Sample], trained: dict[str, Any]) -> list[Sample]:
    """The samples of split `source` ("val" or "train") to choose a threshold on.

    Where the folder has no val split, "val" is what training held out, by the settings `trained` of the checkpoint.
    Raises SegplugError when that is test, shares an image with `scored`, or cannot be had.
    """
    if source == "test":
        raise SegplugError("threshold_from is test: a threshold is never chosen on test; use val or train")
    groups = trained.get("groups")  # absent from older checkpoints
    found = data if groups == data.source.groups else open_data(replace(data.source, groups=groups))
    splits = found.splits
    whole = "train" if "train" in splits else "all"
    if source in splits:
        samples = found.samples(source)
    elif source == "val" and whole in splits and trained["val_split"] > 0:
        samples = split_train_val(found.samples(whole), trained["val_split"], trained["seed"], trained["source_rule"])[
            1
        ]
    else:
        raise SegplugError(
            f"{data.source.data}: no {source} images to choose a threshold on; found: {', '.join(splits)}. "
            "Add a val split, or give the number that a run on the training data printed as ods_threshold"
        )
    shared = {sample.image for sample in samples} & {sample.image for sample in scored}
    if shared:
        raise SegplugError(
            f"{min(shared)}: would choose the threshold and be scored with it; score another split or give a number"
        )
    return samples


def best_threshold(samples: Sequence[Sample], probability_of: Callable[[Pixels], Floats], note: Note = silent) -> float:
    """The ods_threshold of `samples`. Raises SegplugError when none of them has a labelled crack."""
    dataset, total = CrackDataset(samples, note=note), MetricSum()
    for i in range(len(dataset)):
        image, mask = dataset.arrays(i)
        total.add(probability_of(image), mask == 1, mask != NO_LABEL)
    if total.counts.tp + total.counts.fn == 0:
        raise SegplugError(f"none of the {len(dataset)} validation images has a crack; give the threshold as a number")
    return total.scores()["ods_threshold"]
