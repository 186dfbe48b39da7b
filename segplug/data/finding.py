"""Finding: something wrong with a data set, with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segplug.errors import SegplugError


@dataclass(frozen=True)
class Finding:
    """kind: a short name to filter by. split: where it is, None: everywhere. files: all files concerned."""

    kind: str
    text: str
    remedy: str
    split: str | None = None
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    @staticmethod
    def refuse(findings: Sequence[Finding]) -> None:
        """Raise SegplugError with the first of `findings` and how many more there are."""
        if findings:
            more = f" (and {len(findings) - 1} more, see `segplug check`)" if len(findings) > 1 else ""
            raise SegplugError(f"{findings[0]}{more}")


def some(names: Iterable[object], limit: int = 3) -> str:
    """The first names, and how many there are beyond."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
