"""The one exception a user can cure: bad data, an unknown name, a wrong option. The CLI prints it as one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["FilesFailed", "SegplugError", "UnreadableError", "unknown_name"]


class SegplugError(ValueError):
    """Names the value or file at fault and the remedy."""

    exit_code = 2


class UnreadableError(SegplugError):
    """One file among others cannot be used."""


class FilesFailed(SegplugError):
    """The work is done, except for files that could not be used."""

    exit_code = 1


def unknown_name(kind: str, name: str, known: Iterable[str], limit: int = 20) -> SegplugError:
    """The error for a name outside `known`: the near misses first, then the list, cut after `limit` names."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    listed = ", ".join(names[:limit]) + (f", … ({len(names)} in all)" if len(names) > limit else "")
    return SegplugError(f"unknown {kind} {name!r}; {hint}valid: {listed}")
