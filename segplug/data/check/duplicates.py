"""Photographs that are the same, nearly the same, or of one source, within a split and across splits."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segplug.data.check.image_facts import ImageFacts, LabelFacts
from segplug.data.finding import Finding, some
from segplug.data.groups import by_source

NEAR_BITS = 60  # of 512; docs/data.md says what was measured
ROWS = 256
LEAK = "remove it from one of the splits: a network that has seen the photo scores too high"


def same_images(images: Sequence[ImageFacts], labels: dict[int, LabelFacts]) -> list[Finding]:
    """Photographs with equal pixels; said too when their labels differ."""
    findings = []
    for group in _groups(range(len(images)), lambda i: images[i].pixels):
        differ = len({labels[i].mask for i in group if i in labels}) > 1
        text = "equal pixels" + (", but different labels" if differ else "")
        findings.append(_finding("same image", [images[i] for i in group], text))
    return findings


def similar_images(images: Sequence[ImageFacts]) -> list[Finding]:
    """Photographs whose difference hashes are at most NEAR_BITS of 512 apart, and whose pixels are not equal."""
    if not images:
        return []
    signs = np.array([image.look for image in images], dtype=np.float32) * 2 - 1
    links = []
    for start in range(0, len(images), ROWS):
        apart = (signs.shape[1] - signs[start : start + ROWS] @ signs.T) / 2
        near = (np.argwhere(apart <= NEAR_BITS) + np.array([start, 0])).tolist()
        links += [(i, j) for i, j in near if j < i and images[i].pixels != images[j].pixels]
    ends = np.array(links, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links), dtype=bool), (ends[0], ends[1])), shape=(len(images), len(images)))
    chain = connected_components(graph, directed=False)[1]
    chains = _groups(range(len(images)), lambda i: int(chain[i]))
    return [
        _finding("similar image", [images[i] for i in c], f"at most {NEAR_BITS} of 512 hash bits apart") for c in chains
    ]


def shared_sources(images: Sequence[ImageFacts], rule: str | None) -> list[Finding]:
    """One finding for each two splits that share source photographs, the files of the later split named."""
    split_of = {id(image.sample): image.split for image in images}
    sources = by_source([image.sample for image in images], rule)
    findings = []
    order = list(dict.fromkeys(image.split for image in images))
    for i, first in enumerate(order):
        for second in order[i + 1 :]:
            shared = {
                name: [p for p in samples if split_of[id(p)] == second]
                for name, samples in sources.items()
                if {first, second} <= {split_of[id(p)] for p in samples}
            }
            leaking = sorted((p for samples in shared.values() for p in samples), key=lambda p: p.name)
            if leaking:
                total = sum(image.split == second for image in images)
                text = (
                    f"{len(leaking)} of {total} images of {second} come from {len(shared)} source photos that "
                    f"{first} has too: {some(p.name for p in leaking)}"
                )
                remedy = f"move these sources to one split, or leave them out when you score {second}"
                findings.append(
                    Finding("leak: same source", text, remedy, second, tuple(str(p.image) for p in leaking))
                )
    return findings


def _finding(kind: str, group: Sequence[ImageFacts], why: str) -> Finding:
    files = tuple(str(image.sample.image) for image in group)
    splits = sorted({image.split for image in group})
    if len(splits) > 1:
        named = some((f"{image.split}/{image.sample.image.name}" for image in group), 4)
        return Finding(f"leak: {kind}", f"{named}: {why}", LEAK, None, files)
    remedy = "keep one" if kind == "same image" else "keep one, or put both into one group (--groups)"
    return Finding(kind, f"{some((image.sample.image.name for image in group), 4)}: {why}", remedy, splits[0], files)


def _groups(items: Sequence[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Items of equal key, where there are at least two."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return [group for group in found.values() if len(group) > 1]
