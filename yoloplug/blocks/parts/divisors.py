"""Divisors of a channel count: what a group number can be."""

__all__ = ["divisors", "nearest_divisor"]


def divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def nearest_divisor(number: int, wanted: float) -> int:
    """The divisor nearest to `wanted`, the smaller of two equally near."""
    return min(divisors(number), key=lambda d: abs(d - wanted))
