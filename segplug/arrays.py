"""The arrays of this package, by the type of their values; docstrings give shapes and units."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) RGB, or (H, W) of stored values."""
Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]
"""Probabilities, logits, distances."""
Points: TypeAlias = NDArray[np.float64]
