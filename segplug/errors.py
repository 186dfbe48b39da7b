"""The one exception a user can cure: bad data, an unknown name, a wrong option. The CLI prints it as one line."""

from __future__ import annotations

from collections.abc import Iterable

from yoloplug.names import choices


class SegplugError(ValueError):
    """The message is the fault, which names the value or file, and behind a semicolon the remedy.

    key: the setting at fault, where it is one; of nested ones the way to it.
    """

    exit_code = 2

    def __init__(self, fault: str, remedy: str = "", key: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{fault}; {remedy}" if remedy else fault)
        self.fault, self.remedy, self.key = fault, remedy, key


class UnreadableError(SegplugError):
    """One file among others cannot be used."""


class FilesFailed(SegplugError):
    """The work is done, except for files that could not be used."""

    exit_code = 1


class NonFiniteLoss(SegplugError):
    """epoch and step count from 1; step: None in validation. value: NaN where another device's was wrong."""

    def __init__(self, epoch: int, step: int | None, value: float, lr: float) -> None:
        where = "validation" if step is None else f"step {step}"
        super().__init__(
            f"loss became {value} in epoch {epoch}, {where}; last.ckpt still holds the epoch before",
            f"lower lr (now {lr:g}) or raise warmup_epochs",
            ("lr",),
        )
        self.epoch, self.step, self.value = epoch, step, value
        self._given = (epoch, step, value, lr)

    def __reduce__(self) -> tuple[type[NonFiniteLoss], tuple[object, ...]]:
        return type(self), self._given


def check_threshold(threshold: float) -> None:
    """Of a probability, from which a pixel is crack."""
    if not 0 < threshold < 1:
        raise SegplugError(f"threshold must lie between 0 and 1, got {threshold}", key=("threshold",))


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SegplugError:
    """The error for a name outside `known`: the near misses, then the valid names, of more than 40 the nearest."""
    return SegplugError(f"unknown {kind} {name!r}{choices(name, known, 40)}")


def first_line(error: object) -> str:
    """Of what a library says; the lines after it are for its developers."""
    return str(error).strip().split("\n")[0]


def one_line(error: object) -> str:
    """All that a library says."""
    return " ".join(str(error).split())
