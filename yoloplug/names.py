"""Names in messages and reports: `did you mean …?`, and file names that hold no control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def nearest(name: object, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names most like `name`, the likest first, upper and lower case alike; `cutoff` 0 takes any."""
    folded: dict[str, list[str]] = {}
    for candidate in known:
        folded.setdefault(candidate.lower(), []).append(candidate)
    near = get_close_matches(str(name).lower(), folded, n=most, cutoff=cutoff)
    return [candidate for key in near for candidate in folded[key]][:most]


def did_you_mean(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean C2f or C3?` to end a message with, or nothing where no name is near."""
    near = nearest(name, known, cutoff=cutoff)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def choices(name: object, known: Iterable[str], limit: int = 40) -> str:
    """`; did you mean C2f? (valid: C2f, C3)`; of more than `limit` names the twelve nearest are listed."""
    names = sorted(known)
    listed = names if len(names) <= limit else [*nearest(name, names, 12, 0.0), f"… ({len(names)} in all)"]
    return f"{did_you_mean(name, names)} (valid: {', '.join(listed)})"


def printable(text: object) -> str:
    r"""Control characters (ESC, those that turn the direction of writing) as `\x1b`, so that a terminal obeys no name.

    Line feeds and tabs stay.
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(text))
