"""COCO AP and AR of an evaluation's images, or of any choice of them, images drawn several times included.

Definitions: https://cocodataset.org/#detection-eval, `COCOeval.accumulate` and `summarize` of pycocotools, which is the
oracle in tests, beside faster-coco-eval. Small, medium, large: 32^2 and 96^2 px in the original image.

An image's matches do not depend on the other images: they are made once, and a row's value and the bootstrap samples of
its interval come from the same ones. A set that holds an image k times equals one in which its copies follow each other
with new ids.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.box_matching import Items, box_iou, crowds, match_boxes
from yoloplug.files import write

__all__ = ["CLASS_AP", "METRICS", "CocoImages", "Matches", "average_precision", "over_recalls"]

METRICS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")
CLASS_AP = "AP of "  # and a class's name: its AP
_IOUS = np.linspace(0.5, 0.95, 10)
_AREAS_PX2 = {"all": (0.0, 1e10), "S": (0.0, 32.0**2), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}
_MOST = 100  # detections of one class kept an image, best first
RECALLS = np.linspace(0.0, 1.0, 101)
_AT_ONCE = 64  # sets; bounds memory
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


class CocoImages:
    """The matched images of one evaluation: `names` of images, `classes` by ascending id, `groups`: images' photos.

    `matches`: of each class, area range -> Matches.
    """

    def __init__(
        self, names: list[str], groups: list[str] | None, classes: list[str], matches: list[dict[str, Matches]]
    ) -> None:
        self.names, self.groups, self.classes, self._matches = names, groups, classes, matches

    @staticmethod
    def of(targets: dict[str, Any], predictions: Items) -> "CocoImages":
        """From a COCO annotation dictionary and a COCO result list of boxes."""
        images = sorted(targets["images"], key=lambda image: image["id"])
        place = {image["id"]: index for index, image in enumerate(images)}
        groups = [image.get("group") for image in images]
        categories = sorted(targets["categories"], key=lambda category: category["id"])
        matches = []
        for category in categories:
            by_image: tuple[list[Items], list[Items]] = [[] for _ in images], [[] for _ in images]
            for items, source in zip(by_image, (targets["annotations"], predictions), strict=True):
                for item in source:
                    if item["category_id"] == category["id"]:
                        items[place[item["image_id"]]].append(item)
            matches.append(_match_class(*by_image))
        return CocoImages(
            [str(image["file_name"]) for image in images],
            None if None in groups else [str(group) for group in groups],
            [str(category["name"]) for category in categories],
            matches,
        )

    def save_compact(self, path: Path) -> None:
        """All that scores depend on in a compressed .npz: order of the scores, no boxes. Raises WriteError.

        A detection after the last hit of its class changes no score of any set of images, and is left out.
        """
        parts = [_needed(matches[area]) for matches in self._matches for area in _AREAS_PX2]
        arrays: dict[str, Any] = {
            "names": np.array(self.names),
            "classes": np.array(self.classes),
            "objects": np.stack([matches[area].objects for matches in self._matches for area in _AREAS_PX2]),
            "sizes": np.array([len(part.image) for part in parts]),
            "image": np.concatenate([part.image for part in parts]).astype(np.uint32),
            "rank": np.concatenate([part.rank for part in parts]).astype(np.uint8),
            "place": np.concatenate([np.unique(-part.score, return_inverse=True)[1] for part in parts]).astype(
                np.int32
            ),
            "right": np.packbits(np.concatenate([part.right for part in parts], axis=1), axis=0),
            "taken": np.packbits(np.concatenate([part.taken for part in parts], axis=1), axis=0),
            "inside": np.concatenate([part.inside for part in parts]),
        }
        if self.groups is not None:
            arrays["groups"] = np.array(self.groups)
        write(path, lambda part: np.savez_compressed(part, **arrays))

    @staticmethod
    def load_compact(path: Path) -> "CocoImages":
        """What `save_compact` wrote; raises OSError, ValueError, KeyError or BadZipFile on anything else."""
        with np.load(path, allow_pickle=False) as file:
            a = dict(file)
        cuts = np.cumsum(a["sizes"])[:-1]
        right, taken = (np.unpackbits(a[name], axis=0, count=len(_IOUS)).astype(bool) for name in ("right", "taken"))
        columns = [
            a["image"].astype(np.int64),
            a["rank"].astype(np.int64),
            -a["place"].astype(np.float64),
            right,
            taken,
        ]
        split = [np.split(column, cuts, axis=-1) for column in (*columns, a["inside"])]
        every = [Matches(*parts) for parts in zip(*split, a["objects"], strict=True)]
        count = len(_AREAS_PX2)
        matches = [dict(zip(_AREAS_PX2, every[k : k + count], strict=True)) for k in range(0, len(every), count)]
        groups = [str(group) for group in a["groups"]] if "groups" in a else None
        return CocoImages([str(name) for name in a["names"]], groups, [str(name) for name in a["classes"]], matches)

    def scores(self, multiplicities: NDArray[np.integer]) -> dict[str, Floats]:
        """(sets, n): how often each set holds each image -> METRICS and `AP of <class>`, (sets,) each.

        NaN where a set has no object of the kind.
        """
        parts = [
            self._scores(multiplicities[start : start + _AT_ONCE].astype(np.int64))
            for start in range(0, len(multiplicities), _AT_ONCE)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, sets: Ints) -> dict[str, Floats]:
        precision = {area: np.stack([average_precision(m[area], sets) for m in self._matches]) for area in _AREAS_PX2}
        every = precision["all"]
        return {
            "AP": _over_classes(every.mean(axis=2)),
            "AP50": _over_classes(every[:, :, 0]),
            "AP75": _over_classes(every[:, :, 5]),
            **{f"AP_{area}": _over_classes(precision[area].mean(axis=2)) for area in "SML"},
            **{f"AR{most}": self._recall("all", most, sets) for most in (1, 10, 100)},
            **{f"AR_{area}": self._recall(area, _MOST, sets) for area in "SML"},
            **{f"{CLASS_AP}{name}": every[k].mean(axis=1) for k, name in enumerate(self.classes)},
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
    """(sets, T): interpolated precision of one class, averaged over 101 recalls; NaN without an object."""
    keep = np.flatnonzero(matches.inside | matches.right.any(axis=0))
    order = keep[np.argsort(-matches.score[keep], kind="mergesort")]
    times, order = _copies(matches, sets, order)
    right, taken, inside = matches.right[:, order], matches.taken[:, order], matches.inside[order]
    seen = (times * inside).cumsum(axis=1, dtype=np.int32)
    objects = (sets @ matches.objects)[:, None]
    result = np.zeros((len(sets), len(right)))
    for k in range(len(right)):
        hit, spared = np.flatnonzero(right[k]), np.flatnonzero(taken[k] & inside)
        not_wrong = np.pad(times[:, spared].cumsum(axis=1), ((0, 0), (1, 0)))
        fp = seen[:, hit] - not_wrong[:, np.searchsorted(spared, hit, side="right")]
        result[:, k] = over_recalls(times[:, hit].cumsum(axis=1), fp, objects)
    return np.where(objects > 0, result, np.nan)


def over_recalls(tp: NDArray[Any], fp: NDArray[Any], objects: NDArray[Any], recalls: Floats = RECALLS) -> Floats:
    """(sets,): the mean over the recalls of the best precision at each or a higher one, 0 beyond the last hit.

    tp, fp: (sets, hits), right and wrong detections up to each hit, itself included: between two hits precision only
    falls, so it is needed at hits alone. objects: (sets, 1).
    """
    precision = np.maximum.accumulate((tp / (tp + fp + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(recalls, _ratio(tp, objects), side="right")  # recalls up to this hit
    return np.asarray((np.diff(reached, axis=1, prepend=0) * precision).sum(axis=1) / len(recalls))


def _needed(matches: Matches) -> Matches:
    """Without the detections that change no score: neither counted nor a hit, or after the last hit."""
    hit = matches.right.any(axis=0)
    last = matches.score[hit].min() if hit.any() else np.inf
    keep = (matches.inside | hit) & (matches.score >= last)
    return Matches(
        matches.image[keep], matches.rank[keep], matches.score[keep], matches.right[:, keep], matches.taken[:, keep],
        matches.inside[keep], matches.objects,
    )  # fmt: skip


def _match_class(objects: list[Items], found: list[Items]) -> dict[str, Matches]:
    """Area range -> Matches, from the COCO annotations and results of one class, a list for each image."""
    parts: dict[str, list[tuple[Any, ...]]] = {area: [] for area in _AREAS_PX2}
    for image, (own, detections) in enumerate(zip(objects, found, strict=True)):
        scores = np.array([-d["score"] for d in detections])
        order = np.argsort(scores, kind="mergesort")[:_MOST]
        best = [detections[k] for k in order]
        crowd, iou = crowds(own), box_iou(best, own)
        sizes = np.array([o["area"] for o in own], dtype=float)
        areas = np.array([d["bbox"][2] * d["bbox"][3] for d in best], dtype=float)
        shared = np.full(len(best), image), np.arange(len(best)), -scores[order]
        for name, (low, high) in _AREAS_PX2.items():
            ignored = crowd | (sizes < low) | (sizes > high)
            taken = match_boxes(iou, _IOUS, crowd, ignored)
            right = np.append(~ignored, False)[taken]  # of -1: False
            inside = (areas >= low) & (areas <= high)
            parts[name].append((*shared, right, taken >= 0, inside, [np.count_nonzero(~ignored)]))
    return {
        name: Matches(*(np.concatenate(column, axis=-1) for column in zip(*rows, strict=True)))
        for name, rows in parts.items()
    }


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
