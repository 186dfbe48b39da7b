"""Which photographs come from the same source: named by the data itself, or by a rule on the file names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from segplug.data.dataset import Sample
from segplug.errors import SegplugError

__all__ = ["by_source"]


def by_source(samples: Sequence[Sample], rule: str | None) -> dict[str, list[Sample]]:
    """Source -> its pairs. A pair's `group` comes first, then `rule`, else it is its own source.

    rule: regular expression matched at the start of a name; its first group (or the whole match) is the source.
    DeepCrack's crops: r"(.+?)(?:-\\d+)?$". Raises SegplugError when it is no regular expression.
    """
    try:
        pattern = re.compile(rule) if rule is not None else None
    except re.error as error:
        raise SegplugError(f"source rule {rule!r} is no regular expression: {error}") from error
    sources: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        match = pattern.match(sample.name) if pattern else None
        named = match.group(1 if match.re.groups else 0) if match else None
        sources[sample.group or named or sample.name].append(sample)
    return dict(sources)
