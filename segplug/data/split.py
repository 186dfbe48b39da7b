"""Take a validation set out of the training samples, never cutting through one source photograph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segplug.data.groups import by_source
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.notes import Note, silent


def train_val_samples(
    source: CrackData | DataSource | Path | str, fraction: float, seed: int, note: Note = silent
) -> tuple[list[Sample], list[Sample]]:
    """(train, val) of the data: its own val split, or a share of train, or none where `fraction` is 0.

    The test split is never among them: what chooses a checkpoint must not be what scores it. `note` hears what was
    found.
    """
    data = open_data(source)
    note(str(data))
    if "train" not in data.splits and "all" not in data.splits:
        raise SegplugError(f"{data.source.data}: no train split", f"found: {', '.join(data.splits)}")
    samples = data.samples("train" if "train" in data.splits else "all")
    if "val" in data.splits:
        return samples, data.samples("val")
    if fraction == 0:
        return samples, []
    return split_train_val(samples, fraction, seed, data.source.source_rule)


def split_train_val(
    samples: Sequence[Sample], fraction: float, seed: int, source_rule: str | None = None
) -> tuple[list[Sample], list[Sample]]:
    """(train, val) with about `fraction` of the samples in val; the same seed gives the same split.

    Samples of one source photograph stay together, see `by_source`. Raises SegplugError when a side would be empty.
    """
    if not 0 < fraction < 1:
        raise SegplugError(f"val_split must lie between 0 and 1, got {fraction}")
    sources = by_source(samples, source_rule)
    wanted = max(1, round(fraction * len(samples)))
    val: set[str] = set()
    order = np.random.default_rng(seed).permutation(len(sources))
    names = sorted(sources)
    for i in order:
        group = [sample.name for sample in sources[names[i]]]
        # A source that overshoots more than it fills waits for nothing: the next, smaller one is tried.
        if len(val) + len(group) <= wanted or (not val and len(group) <= 2 * wanted):
            val.update(group)
    if not val or len(val) == len(samples):
        raise SegplugError(
            f"cannot take {wanted} of {len(samples)} images from {len(sources)} sources for validation; "
            "add images, change val_split or loosen the source rule"
        )
    return [p for p in samples if p.name not in val], [p for p in samples if p.name in val]
