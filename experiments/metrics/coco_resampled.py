"""COCO AP and AR of any choice of images, images drawn several times included, from matches made once.

Definitions: https://cocodataset.org/#detection-eval, `COCOeval.accumulate` and `summarize` of pycocotools, which is the
oracle in tests. A set that holds an image k times equals one in which its copies follow each other with new ids.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.coco_matching import AREAS_PX2, MOST, Matches, match_class

__all__ = ["CocoImages", "average_precision"]

_RECALLS = np.linspace(0.0, 1.0, 101)
_AT_ONCE = 64  # sets; bounds memory
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class CocoImages:
    """The matched images of one evaluation: `names` of images, `classes` by ascending id."""

    def __init__(self, truth: dict[str, Any], predictions: list[dict[str, Any]]) -> None:
        images = sorted(truth["images"], key=lambda image: image["id"])
        place = {image["id"]: index for index, image in enumerate(images)}
        self.names = [str(image["file_name"]) for image in images]
        categories = sorted(truth["categories"], key=lambda category: category["id"])
        self.classes = [str(category["name"]) for category in categories]
        self._matches = []
        for category in categories:
            objects: list[list[dict[str, Any]]] = [[] for _ in images]
            found: list[list[dict[str, Any]]] = [[] for _ in images]
            for items, source in ((objects, truth["annotations"]), (found, predictions)):
                for item in source:
                    if item["category_id"] == category["id"]:
                        items[place[item["image_id"]]].append(item)
            self._matches.append(match_class(objects, found))

    def scores(self, multiplicities: NDArray[np.integer]) -> dict[str, Floats]:
        """(sets, n): how often each set holds each image -> the metrics of coco_ap and `AP of <class>`, (sets,) each.

        NaN where a set has no object of the kind.
        """
        parts = [
            self._scores(multiplicities[start : start + _AT_ONCE].astype(np.int64))
            for start in range(0, len(multiplicities), _AT_ONCE)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, sets: Ints) -> dict[str, Floats]:
        precision = {area: np.stack([average_precision(m[area], sets) for m in self._matches]) for area in AREAS_PX2}
        every = precision["all"]
        return {
            "AP": _over_classes(every.mean(axis=2)),
            "AP50": _over_classes(every[:, :, 0]),
            "AP75": _over_classes(every[:, :, 5]),
            **{f"AP_{area}": _over_classes(precision[area].mean(axis=2)) for area in "SML"},
            **{f"AR{most}": self._recall("all", most, sets) for most in (1, 10, 100)},
            **{f"AR_{area}": self._recall(area, MOST, sets) for area in "SML"},
            **{f"AP of {name}": every[k].mean(axis=1) for k, name in enumerate(self.classes)},
        }

    def _recall(self, area: str, most: int, sets: Ints) -> Floats:
        values = []
        for matches in (m[area] for m in self._matches):
            kept = matches.rank < most
            hits = np.stack(
                [np.bincount(matches.image[kept & row], minlength=sets.shape[1]) for row in matches.right], axis=1
            )
            values.append(_ratio(sets @ hits, (sets @ matches.objects)[:, None]).mean(axis=1))
        return _over_classes(np.stack(values))


def average_precision(matches: Matches, sets: Ints) -> Floats:
    """(sets, T): interpolated precision of one class, averaged over 101 recalls; NaN without an object.

    Between two hits precision only falls, so it is needed at hits alone: hits so far / detections so far that count.
    """
    keep = np.flatnonzero(matches.inside | matches.right.any(axis=0))
    order = keep[np.argsort(-matches.score[keep], kind="mergesort")]
    times, order = _copies(matches, sets, order)
    right, taken, inside = matches.right[:, order], matches.taken[:, order], matches.inside[order]
    seen = (times * inside).cumsum(axis=1, dtype=np.int32)
    objects = (sets @ matches.objects)[:, None]
    result = np.zeros((len(sets), len(right)))
    for k in range(len(right)):
        hit, spared = np.flatnonzero(right[k]), np.flatnonzero(taken[k] & inside)
        if not hit.size:
            continue
        tp = times[:, hit].cumsum(axis=1)
        not_wrong = np.pad(times[:, spared].cumsum(axis=1), ((0, 0), (1, 0)))
        fp = seen[:, hit] - not_wrong[:, np.searchsorted(spared, hit, side="right")]
        precision = np.maximum.accumulate((tp / (tp + fp + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(_RECALLS, _ratio(tp, objects), side="right")  # recalls up to this hit
        result[:, k] = (np.diff(reached, axis=1, prepend=0) * precision).sum(axis=1) / len(_RECALLS)
    return np.where(objects > 0, result, np.nan)


def _copies(matches: Matches, sets: Ints, order: Ints) -> tuple[NDArray[np.int32], Ints]:
    """How often each set holds each detection of `order`, (sets, D), and `order` itself.

    Detections of one image with equal scores come in turn, copy by copy: they are listed once for each copy.
    """
    keys = np.stack([matches.score[order], matches.image[order]])
    same = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
    image = matches.image[order]
    if not same.any():
        return sets[:, image].astype(np.int32), order
    group = np.concatenate([[0], np.cumsum(~same)])
    tied = np.bincount(group)[group] > 1
    highest = int(sets.max())
    place = np.repeat(np.arange(len(order)), np.where(tied, highest, 1))
    copy = np.arange(len(place)) - np.searchsorted(place, place)
    turn = np.lexsort((place, copy * tied[place], group[place]))
    place, copy = place[turn], copy[turn]
    times = sets[:, image[place]]
    return np.where(tied[place], times > copy, times).astype(np.int32), order[place]


def _over_classes(values: Floats) -> Floats:
    """(classes, sets) -> mean over the classes that have objects; NaN where none has."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """NaN where `whole` is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)
