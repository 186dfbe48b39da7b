"""Checks of constructor arguments; the message has the value and a remedy."""

from collections.abc import Sequence
from functools import reduce
from math import gcd, isfinite

from yoloplug.blocks.parts.padding import autopad


def at_least_one(block: str, **values: int) -> None:
    """Raises ValueError naming every value if one is below 1."""
    if min(values.values()) < 1:
        got = ", ".join(f"{name}={value}" if len(values) > 1 else str(value) for name, value in values.items())
        raise ValueError(f"{block}: {', '.join(values)} must be at least 1, got {got}")


def finite(block: str, **values: float) -> None:
    """Raises ValueError naming the first value that is NaN or infinite."""
    for name, value in values.items():
        if not isfinite(value):
            raise ValueError(f"{block}: {name} must be a finite number, got {value}")


def divides(block: str, name: str, groups: int, **widths: int) -> None:
    """Raises ValueError unless `groups`, which the user calls `name`, divides every width."""
    if groups < 1 or any(width % groups for width in widths.values()):
        got = " and ".join(f"{key}={width}" for key, width in widths.items())
        choice = divisors(reduce(gcd, widths.values()))
        raise ValueError(f"{block}: {name}={groups} must divide {got}; use {name} from {choice}")


def one_of(block: str, choices: Sequence[object], **options: object) -> None:
    """Raises ValueError for an option whose value is none of `choices`."""
    for name, value in options.items():
        if value not in choices:
            raise ValueError(f"{block}: {name} must be one of {tuple(choices)}, got {value!r}")


def check_conv(block: str, c1: int, c2: int, k: int, s: int, g: int = 1) -> None:
    """Raises ValueError where no convolution that keeps the size at stride 1 has these numbers."""
    at_least_one(block, c1=c1, c2=c2, s=s)
    divides(block, "g", g, c1=c1, c2=c2)
    autopad(k)


def divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
