"""Checks of constructor arguments that several blocks share; the message has the value and a remedy."""

from functools import reduce
from math import gcd, isfinite

from yoloplug.blocks.parts.divisors import divisors

__all__ = ["at_least_one", "divides", "finite"]


def at_least_one(block: str, **values: int) -> None:
    """Raises ValueError naming every value if one is below 1."""
    if min(values.values()) < 1:
        got = ", ".join(f"{name}={value}" for name, value in values.items())
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
