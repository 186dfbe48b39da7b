"""Take a validation set out of the training pairs, never cutting through one source photograph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from segplug.data import Pair
from segplug.errors import SegplugError

__all__ = ["split_train_val"]


def split_train_val(
    pairs: Sequence[Pair], fraction: float, seed: int, source_rule: str | None = None
) -> tuple[list[Pair], list[Pair]]:
    """(train, val) with about `fraction` of the pairs in val; the same seed gives the same split.

    source_rule: regular expression matched at the start of a file stem; its first group (or the whole match) names the
    source photograph, and pairs of one source stay together. DeepCrack's crops: r"(.+?)(?:-\\d+)?$". A stem it does not
    match is its own source. Raises SegplugError when a side would be empty.
    """
    if not 0 < fraction < 1:
        raise SegplugError(f"val_split must lie between 0 and 1, got {fraction}")
    sources = _sources(pairs, source_rule)
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
