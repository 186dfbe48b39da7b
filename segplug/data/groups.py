"""Which photographs come from the same source: named by the data itself, or by a rule on the file names."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from segplug.data.csv_table import read_table
from segplug.data.sample import Sample
from segplug.errors import SegplugError


def by_source(samples: Sequence[Sample], rule: str | None) -> dict[str, list[Sample]]:
    """Source -> its samples. A sample's `group` comes first, then `rule`, else it is its own source.

    rule: regular expression matched at the start of a name; its first group (or the whole match) is the source.
    DeepCrack's crops: r"(.+?)(?:-\\d+)?$". Raises SegplugError when it is no regular expression.
    """
    try:
        pattern = re.compile(rule) if rule is not None else None
    except (re.error, OverflowError) as error:
        raise SegplugError(f"source rule {rule!r} is no regular expression: {error}") from error
    sources: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        match = pattern.match(sample.name) if pattern else None
        named = match.group(1 if match.re.groups else 0) if match else None
        sources[sample.group or named or sample.name].append(sample)
    return dict(sources)


def read_groups(path: Path) -> dict[str, str]:
    """Image name as written in column `image` (its last part) -> column `group`."""
    groups: dict[str, str] = {}
    for row in read_table(path, ("image", "group")):
        name = Path(row["image"]).name
        if not name or not row["group"]:
            raise SegplugError(f"{path}, line {row['line']}: image or group is empty", "fill it")
        if groups.setdefault(name, row["group"]) != row["group"]:
            raise SegplugError(f"{path}, line {row['line']}: {name} has two groups", "keep one")
    return groups
