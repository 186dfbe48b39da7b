"""COCO AP and AR of an evaluation's images, or of any choice of them, images drawn several times included.

Definitions: https://cocodataset.org/#detection-eval, `COCOeval.accumulate` and `summarize` of pycocotools, which is the
oracle in tests, beside faster-coco-eval. Small, medium, large: 32^2 and 96^2 px in the original image.

An image's matches do not depend on the other images: they are made once, and a row's value and the bootstrap samples of
its interval come from the same ones. A set that holds an image k times equals one in which its copies follow each other
with new ids.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.average_precision import Matches, Ranking
from experiments.metrics.box_matching import Items, box_iou, crowds, match_boxes
from yoloplug.files import write

METRICS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")
CLASS_AP = "AP of "  # and a class's name: its AP
_IOUS = np.linspace(0.5, 0.95, 10)
_AREAS_PX2 = {"all": (0.0, 1e10), "S": (0.0, 32.0**2), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}
_MOST = 100  # detections of one class kept an image, best first
_AT_ONCE = 1 << 19  # numbers, about: more of them leave the cache
Floats = NDArray[np.float64]


class CocoImages:
    """The matched images of one evaluation: `names` of images, `classes` by ascending id, `groups`: images' photos.

    `matches`: of each class, area range -> Matches.
    """

    def __init__(
        self, names: list[str], groups: list[str] | None, classes: list[str], matches: list[dict[str, Matches]]
    ) -> None:
        self.names, self.groups, self.classes, self._matches = names, groups, classes, matches
        self._needed = [{area: _needed(one) for area, one in every.items()} for every in matches]
        self._rankings = [{area: Ranking(one) for area, one in every.items()} for every in self._needed]
        self._counted: dict[tuple[int, str, int], Floats] = {}

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
        parts = [matches[area] for matches in self._needed for area in _AREAS_PX2]
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
        most = max((len(every["all"].image) for every in self._needed), default=0)
        at_once = max(16, _AT_ONCE // max(most, len(self.names), 1))
        parts = [
            self._scores(multiplicities[start : start + at_once].astype(np.int32))
            for start in range(0, len(multiplicities), at_once)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, sets: NDArray[np.int32]) -> dict[str, Floats]:
        times = sets.astype(np.float64)  # whose products are fast, and exact
        precision = {area: np.stack([r[area].average_precision(sets) for r in self._rankings]) for area in _AREAS_PX2}
        every = precision["all"]
        return {
            "AP": _over_classes(every.mean(axis=2)),
            "AP50": _over_classes(every[:, :, 0]),
            "AP75": _over_classes(every[:, :, 5]),
            **{f"AP_{area}": _over_classes(precision[area].mean(axis=2)) for area in "SML"},
            **{f"AR{most}": self._recall("all", most, times) for most in (1, 10, 100)},
            **{f"AR_{area}": self._recall(area, _MOST, times) for area in "SML"},
            **{f"{CLASS_AP}{name}": every[k].mean(axis=1) for k, name in enumerate(self.classes)},
        }

    def _recall(self, area: str, most: int, sets: Floats) -> Floats:
        values = []
        for k, matches in enumerate(self._matches):
            hits = self._hits(k, area, most)
            values.append(_ratio(sets @ hits, (sets @ matches[area].objects)[:, None]).mean(axis=1))
        return _over_classes(np.stack(values))

    def _hits(self, k: int, area: str, most: int) -> Floats:
        """(n, T): objects of a class that an image's `most` best detections take."""
        if (k, area, most) not in self._counted:
            matches = self._matches[k][area]
            kept = matches.rank < most
            rows = [np.bincount(matches.image[kept & row], minlength=len(self.names)) for row in matches.right]
            self._counted[k, area, most] = np.stack(rows, axis=1).astype(np.float64)
        return self._counted[k, area, most]


def _needed(matches: Matches) -> Matches:
    """Without the detections that change no score: neither counted nor a hit, or after the last hit."""
    hit = matches.right.any(axis=0)
    last = matches.score[hit].min() if hit.any() else np.inf
    keep = (matches.inside | hit) & (matches.score >= last)
    return Matches(
        matches.image[keep], matches.rank[keep], matches.score[keep], matches.right[:, keep], matches.taken[:, keep],
        matches.inside[keep], matches.objects,
    )  # fmt: skip


def _match_class(objects: list[Items], predictions: list[Items]) -> dict[str, Matches]:
    """Area range -> Matches, from the COCO annotations and results of one class, a list for each image."""
    best = [sorted(own, key=lambda d: -d["score"])[:_MOST] for own in predictions]
    counts, sizes = [len(own) for own in best], np.array([o["area"] for own in objects for o in own], dtype=float)
    crowd = crowds([o for own in objects for o in own])
    image = np.repeat(np.arange(len(best)), counts)
    score = np.array([d["score"] for own in best for d in own], dtype=float)
    areas = np.array([d["bbox"][2] * d["bbox"][3] for own in best for d in own], dtype=float)
    rank = np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts)
    owner = np.repeat(np.arange(len(objects)), [len(own) for own in objects])
    first, at = np.searchsorted(owner, np.arange(len(objects) + 1)), np.cumsum([0, *counts])
    iou = {k: box_iou(best[k], objects[k]) for k in np.unique(owner) if counts[k]}
    taken = {name: np.full((len(_IOUS), len(image)), -1) for name in _AREAS_PX2}
    ignored = {name: crowd | (sizes < low) | (sizes > high) for name, (low, high) in _AREAS_PX2.items()}
    for k, overlap in iou.items():
        own, place = slice(first[k], first[k + 1]), slice(at[k], at[k + 1])
        done: dict[bytes, NDArray[np.int64]] = {}
        for name in _AREAS_PX2:
            passed = ignored[name][own]
            if passed.all():  # nobody is preferred to another, as where none is ignored
                passed = np.zeros_like(passed)
            if passed.tobytes() not in done:
                match = match_boxes(overlap, _IOUS, crowd[own], passed)
                done[passed.tobytes()] = np.where(match < 0, -1, match + first[k])
            taken[name][:, place] = done[passed.tobytes()]
    return {
        name: Matches(
            image, rank, score, np.append(~ignored[name], False)[taken[name]], taken[name] >= 0,
            (areas >= low) & (areas <= high), np.bincount(owner[~ignored[name]], minlength=len(objects)),
        )
        for name, (low, high) in _AREAS_PX2.items()
    }  # fmt: skip


def _over_classes(values: Floats) -> Floats:
    """(classes, sets) -> mean over the classes that have objects; NaN where none has."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """NaN where `whole` is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)
