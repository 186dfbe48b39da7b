"""Interpolated average precision of one class, on many sets of images at once.

Definition: `COCOeval.accumulate` of pycocotools. What no set changes is found once: order, hits, who is spared.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """Detections (D) of one class in all n images, for objects of one area range; images in order, best first in each.

    image (D,), rank (D,) within the image, score (D,). right (T, D): takes an object of the range at this IoU.
    taken (T, D): takes any object, also one that is ignored. inside (D,): its own area is in the range.
    objects (n,): objects that count.
    """

    image: Ints
    rank: Ints
    score: Floats
    right: Bools
    taken: Bools
    inside: Bools
    objects: Ints


class _Row(NamedTuple):
    """Of one IoU, as places in the ranking: the hits; what takes an object that does not count, and how many of those
    stand before each hit; which hits have an area outside the range (None: none)."""

    hit: Ints
    spared: Ints
    before: NDArray[np.intp]
    outside: Bools | None


class _Ranked(NamedTuple):
    """image (D,), copy (D,): the copy of the image that a detection belongs to, -1 for all of them. None: all."""

    image: Ints
    copy: Ints | None
    inside: Bools | None
    rows: list[_Row]

    def times(self, sets: NDArray[np.integer]) -> NDArray[np.int32]:
        """How often each set holds each detection, (sets, D)."""
        times = sets.take(self.image, axis=1)
        if self.copy is not None:
            times = np.where(self.copy < 0, times, times > self.copy)
        return times.astype(np.int32, copy=False)


class Ranking:
    """Detections of one class by falling score."""

    def __init__(self, matches: Matches) -> None:
        self._matches, self._order = matches, np.argsort(-matches.score, kind="mergesort")
        keys = np.stack([matches.score[self._order], matches.image[self._order]])
        self._same = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
        self._made: dict[int, _Ranked] = {}

    def average_precision(self, sets: NDArray[np.integer]) -> Floats:
        """sets (sets, n), how often each holds each image -> (sets, T): mean over 101 recalls, NaN without object."""
        highest = int(sets.max(initial=0)) if self._same.any() else 0
        if highest not in self._made:
            self._made[highest] = self._ranked(highest)
        ranked = self._made[highest]
        times = ranked.times(sets)
        seen = (times if ranked.inside is None else times * ranked.inside).cumsum(axis=1, dtype=np.int32)
        objects = (sets @ self._matches.objects)[:, None]
        result = np.zeros((len(sets), len(ranked.rows)))
        for k, (hit, spared, before, outside) in enumerate(ranked.rows):
            own = times.take(hit, axis=1)
            tp = own.cumsum(axis=1, dtype=np.int32)
            counted = seen.take(hit, axis=1)  # right or wrong: all but those that take an object which does not count
            if len(spared):
                not_wrong = np.pad(times.take(spared, axis=1).cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
                counted -= not_wrong.take(before, axis=1)
            if outside is not None:
                counted += (own * outside).cumsum(axis=1, dtype=np.int32)
            result[:, k] = over_recalls(tp, counted, objects)
        return np.where(objects > 0, result, np.nan)

    def _ranked(self, highest: int) -> _Ranked:
        """For sets that hold no image more often than `highest`, which counts where an image's scores are equal."""
        matches = self._matches
        order, copy = self._in_turn(highest)
        right, taken, inside = matches.right[:, order], matches.taken[:, order], matches.inside[order]
        rows = []
        for hits, takes in zip(right, taken, strict=True):
            hit, spared = np.flatnonzero(hits), np.flatnonzero(takes & ~hits & inside)
            outside = ~inside[hit]
            rows.append(_Row(hit, spared, np.searchsorted(spared, hit), outside if outside.any() else None))
        return _Ranked(matches.image[order], copy, None if inside.all() else inside, rows)

    def _in_turn(self, highest: int) -> tuple[Ints, Ints | None]:
        """Detections of one image with equal scores come in turn, copy by copy: they are listed once for each copy."""
        if not self._same.any():
            return self._order, None
        group = np.concatenate([[0], np.cumsum(~self._same)])
        tied = np.bincount(group)[group] > 1
        place = np.repeat(np.arange(len(self._order)), np.where(tied, highest, 1))
        copy = np.arange(len(place)) - np.searchsorted(place, place)
        turn = np.lexsort((place, copy * tied[place], group[place]))
        place, copy = place[turn], copy[turn]
        return self._order[place], np.where(tied[place], copy, -1)


def over_recalls(tp: NDArray[Any], counted: NDArray[Any], objects: NDArray[Any], recalls: Floats = RECALLS) -> Floats:
    """(sets,): the mean over the recalls of the best precision at each or a higher one, 0 beyond the last hit.

    tp, counted: (sets, hits), right detections and all up to each hit, itself included: between two hits precision only
    falls, so it is needed at hits alone. objects: (sets, 1).
    """
    hits, rows = tp.shape[1], np.arange(len(tp))[:, None]
    if not hits:
        return np.zeros(len(tp))
    precision = tp / np.maximum(counted, 1)
    np.maximum.accumulate(precision[:, ::-1], axis=1, out=precision[:, ::-1])
    step = np.int64(objects.max(initial=0)) + 2  # one ascending row of all rows: a single search finds every recall
    wanted = (_wanted(recalls, objects) + rows * step).ravel()
    at = np.searchsorted((tp + rows * step).ravel(), wanted).reshape(len(tp), -1) - rows * hits
    best = precision[rows, np.minimum(at, hits - 1)]
    return np.asarray(np.where(at < hits, best, 0.0).sum(axis=1) / len(recalls))


def _wanted(recalls: Floats, objects: NDArray[Any]) -> Ints:
    """(sets, recalls): the fewest hits whose recall, as a float64 quotient, is not below each."""
    whole = np.maximum(objects, 1)
    least = np.ceil(recalls * whole).astype(np.int64)
    least -= (least - 1) / whole >= recalls
    return least + (least / whole < recalls)
