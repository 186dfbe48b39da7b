"""The one place where padding is computed."""


def autopad(k: int, d: int = 1) -> int:
    """Padding that keeps the size at stride 1. Raises ValueError on an even or non-positive k, or d below 1."""
    if k < 1 or k % 2 == 0:
        raise ValueError(f"k must be odd and positive, got {k}; use {max(1, k + 1)}")
    if d < 1:
        raise ValueError(f"d (dilation) must be at least 1, got {d}")
    return d * (k - 1) // 2
