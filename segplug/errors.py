"""The one exception a user can cure: bad data, an unknown name, a wrong option. The CLI prints it as one line."""

from __future__ import annotations

from collections.abc import Iterable

from yoloplug.names import choices

__all__ = ["FilesFailed", "SegplugError", "UnreadableError", "unknown_name"]


class SegplugError(ValueError):
    """Names the value or file at fault and the remedy."""

    exit_code = 2


class UnreadableError(SegplugError):
    """One file among others cannot be used."""


class FilesFailed(SegplugError):
    """The work is done, except for files that could not be used."""

    exit_code = 1


def unknown_name(kind: str, name: str, known: Iterable[str], limit: int = 40) -> SegplugError:
    """The error for a name outside `known`: the near misses, then the valid names, of more than `limit` the nearest."""
    return SegplugError(f"unknown {kind} {name!r}{choices(name, known, limit)}")
