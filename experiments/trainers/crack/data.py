"""A crack data set as a spec names it: opened once, for all that is done with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from experiments.cells.record import hash_files
from experiments.errors import SpecError
from experiments.spec.spec import Dataset
from segplug.data.dataset import CrackDataset
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.split import train_val_samples
from segplug.evaluation.exclude import kept_images

SOURCE = {field.name for field in fields(DataSource)} - {"data"}  # settings of `train` that say how data are read
PATHS = ("ignore", "groups")


@dataclass(frozen=True)
class CrackSet:
    """`opened`: as segplug reads it, with every setting of the spec's `train` that is about data."""

    opened: CrackData

    def check(self) -> None:
        for samples in self.opened.splits.values():
            CrackDataset(samples, cache_bytes=0)

    def content_hash(self) -> str:
        samples = [sample for split in self.opened.splits for sample in self.opened.samples(split)]
        own = hash_files(file for sample in samples for file in (sample.image, sample.label.path))
        more = {sample.valid for sample in samples if sample.valid is not None}
        more |= {Path(self.opened.source.groups)} if self.opened.source.groups else set()
        return hashlib.sha256(f"{own}{hash_files(more)}".encode()).hexdigest()[:16] if more else own

    @property
    def scored(self) -> list[str]:
        return [sample.name for sample in self.test]

    def listed(self, file: Path) -> list[str]:
        keep = kept_images(file, [sample.image for sample in self.test])
        return [sample.name for sample, kept in zip(self.test, keep, strict=True) if not kept]

    @property
    def test(self) -> list[Sample]:
        return self.opened.samples("test")

    def train_val(self, val_split: float, seed: int) -> tuple[list[Sample], list[Sample]]:
        return train_val_samples(self.opened, val_split, seed)

    def chosen_on(self, val_split: float) -> str | None:
        """Which images choose the epoch, in words; None where none do."""
        if "val" in self.opened.splits:
            return "the data's validation images"
        return "validation images taken from train" if val_split > 0 else None


def open_cracks(path: Path, dataset: Dataset, options: Mapping[str, Any], root: Path) -> CrackSet:
    """Raises SegplugError without a train and a test split, and on an image without its label."""
    if dataset.val_share:
        raise SpecError(
            "is for task: detect; here test is scored, and train.val_split (default 0.1) takes validation images from "
            "train",
            ("val_share",),
        )
    settings = {name: value for name, value in options.items() if name in SOURCE}
    settings |= {name: str(root / settings[name]) for name in PATHS if settings.get(name) is not None}
    opened = open_data(DataSource(data=str(path), **settings))
    missing = [split for split in ("train", "test") if split not in opened.splits]
    if missing:
        raise SpecError(f"{path}: no {missing[0]} split; found: {', '.join(opened.splits)}")
    return CrackSet(opened)
