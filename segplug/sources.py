"""Which photographs come from the same source: named by the data itself, or by a rule on the file names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from segplug.data import Pair
from segplug.errors import SegplugError

__all__ = ["by_source"]


def by_source(pairs: Sequence[Pair], rule: str | None) -> dict[str, list[Pair]]:
    """Source -> its pairs. A pair's `group` comes first, then `rule`, else it is its own source.

    rule: regular expression matched at the start of a name; its first group (or the whole match) is the source.
    DeepCrack's crops: r"(.+?)(?:-\\d+)?$". Raises SegplugError when it is no regular expression.
    """
    try:
        pattern = re.compile(rule) if rule is not None else None
    except re.error as error:
        raise SegplugError(f"source rule {rule!r} is no regular expression: {error}") from error
    sources: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        match = pattern.match(pair.name) if pattern else None
        named = match.group(1 if match.re.groups else 0) if match else None
        sources[pair.group or named or pair.name].append(pair)
    return dict(sources)
