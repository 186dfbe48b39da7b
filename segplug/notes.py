"""What a long run tells its user, a line at a time: how far it is, and for how long still."""

import time
from collections.abc import Callable

Note = Callable[[str], None]
"""Takes one line of text for the user."""

EVERY_S = 10.0


def silent(text: str) -> None:
    """For those who ask for no notes."""


class Progress:
    """Notes "3/20 wall.jpg: …, 12 s left". The rest is estimated from the mean of those done here, `skipped` apart."""

    def __init__(self, note: Note, total: int, what: str = "") -> None:
        self.total, self.done = total, 0
        self._note, self._what = note, what
        self._start = self._said = time.monotonic()
        self._timed = 0

    def step(self, text: str) -> None:
        """One more is done; say so."""
        self.done += 1
        self._timed += 1
        self._say(text)

    def tick(self) -> None:
        """One more is done; say so at most every ten seconds."""
        self.done += 1
        self._timed += 1
        if time.monotonic() - self._said >= EVERY_S and self.done < self.total:
            self._say(self._what)

    def skip(self) -> None:
        """One was done before; it took no time."""
        self.done += 1

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        left = (self._said - self._start) / self._timed * (self.total - self.done)
        rest = f", {duration(left)} left" if self.done < self.total else ""
        self._note(f"{self.done}/{self.total} {text}{rest}")


def duration(seconds: float) -> str:
    """7 -> "7 s", 100 -> "1 min 40 s", 8000 -> "2 h 13 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
