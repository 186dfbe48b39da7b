"""Take a validation set out of the training pairs, never cutting through one source photograph."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segplug.data import IMAGE_SUFFIXES, Pair, find_pairs, find_splits
from segplug.errors import SegplugError

__all__ = ["read_groups", "split_train_val", "train_val_pairs"]


def train_val_pairs(
    root: Path, fraction: float, seed: int, source_rule: str | None = None, groups: Path | None = None
) -> tuple[list[Pair], list[Pair]]:
    """(train, val) of a data folder: its own val split, or a share of train, or none where `fraction` is 0.

    The test split is never among them: what chooses a checkpoint must not be what scores it. groups: see `read_groups`.
    """
    splits = find_splits(root)
    if "train" not in splits and "all" not in splits:
        raise SegplugError(f"{root}: no train split; found: {', '.join(splits)}")
    pairs = find_pairs(root, "train" if "train" in splits else "all")
    if "val" in splits:
        return pairs, find_pairs(root, "val")
    if fraction == 0:
        return pairs, []
    return split_train_val(pairs, fraction, seed, source_rule, None if groups is None else read_groups(groups))


def read_groups(path: Path) -> dict[str, str]:
    """File stem -> source photo, from a CSV file with the columns image (with or without suffix) and group."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            table = csv.DictReader(handle)
            columns, rows = list(table.fieldnames or []), list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SegplugError(f"{path}: not readable as CSV ({error})") from error
    if not {"image", "group"} <= set(columns):
        raise SegplugError(f"{path}: needs the columns image,group; found: {', '.join(columns)}")
    groups: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if not row["image"] or not row["group"]:
            raise SegplugError(f"{path}: line {line} lacks its image or its group")
        stem = _stem(row["image"])
        if groups.setdefault(stem, row["group"]) != row["group"]:
            raise SegplugError(
                f"{path}: line {line} puts {stem} into {row['group']} and an earlier one into {groups[stem]}"
            )
    return groups


def split_train_val(
    pairs: Sequence[Pair],
    fraction: float,
    seed: int,
    source_rule: str | None = None,
    groups: Mapping[str, str] | None = None,
) -> tuple[list[Pair], list[Pair]]:
    """(train, val) with about `fraction` of the pairs in val; the same seed gives the same split.

    source_rule: regular expression matched at the start of a file stem; its first group (or the whole match) names the
    source photograph, and pairs of one source stay together. DeepCrack's crops: r"(.+?)(?:-\\d+)?$". A stem it does not
    match is its own source. groups: file stem -> source in its place; every pair must be in it. Raises SegplugError
    when a side would be empty.
    """
    if not 0 < fraction < 1:
        raise SegplugError(f"val_split must lie between 0 and 1, got {fraction}")
    sources = _sources(pairs, source_rule) if groups is None else _grouped(pairs, groups)
    wanted = max(1, round(fraction * len(pairs)))
    val: set[str] = set()
    order = np.random.default_rng(seed).permutation(len(sources))
    names = sorted(sources)
    for i in order:
        group = [pair.name for pair in sources[names[i]]]
        # A source that overshoots more than it fills waits for nothing: the next, smaller one is tried.
        if len(val) + len(group) <= wanted or (not val and len(group) <= 2 * wanted):
            val.update(group)
    if not val or len(val) == len(pairs):
        raise SegplugError(
            f"cannot take {wanted} of {len(pairs)} images from {len(sources)} sources for validation; "
            "add images, change val_split or loosen the source rule"
        )
    return [p for p in pairs if p.name not in val], [p for p in pairs if p.name in val]


def _sources(pairs: Sequence[Pair], rule: str | None) -> dict[str, list[Pair]]:
    try:
        pattern = re.compile(rule) if rule is not None else None
    except re.error as error:
        raise SegplugError(f"source rule {rule!r} is no regular expression: {error}") from error
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        match = pattern.match(pair.name) if pattern else None
        groups[(match.group(1) if pattern and pattern.groups else match.group(0)) if match else pair.name].append(pair)
    return groups


def _grouped(pairs: Sequence[Pair], groups: Mapping[str, str]) -> dict[str, list[Pair]]:
    missing = [pair.name for pair in pairs if pair.name not in groups]
    if missing:
        raise SegplugError(
            f"{len(missing)} of {len(pairs)} training images have no group, {missing[0]} the first; "
            "add a line image,group for each"
        )
    sources: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        sources[groups[pair.name]].append(pair)
    return sources


def _stem(name: str) -> str:
    """File name or stem -> stem; a dot within a stem ("wall.2") is no suffix."""
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
