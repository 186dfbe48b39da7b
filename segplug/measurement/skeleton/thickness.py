"""Local thickness: the diameter of the largest circle inside the mask that holds a point.

Paper: Hildebrand and Rüegsegger 1997, https://doi.org/10.1046/j.1365-2818.1997.1340694.x, section 2.
"""

import cv2
import numpy as np

from segplug.arrays import Floats, Points


def local_thickness(points: Points, distance_px: Floats) -> Points:
    """(N,) px at (N, 2) points, row and column, of a mask with this distance transform, (H, W). 0 outside the mask."""
    from scipy.spatial import cKDTree

    around = cv2.dilate(distance_px, np.ones((3, 3), np.uint8))
    ridge = np.argwhere((distance_px > 0) & (distance_px > around - 0.75))  # only there a circle can be the largest
    radius = distance_px[tuple(ridge.T)].astype(np.float64)
    held = cKDTree(points).query_ball_point(ridge, radius)
    thickness = np.zeros(len(points))
    sizes = [len(inside) for inside in held]
    np.maximum.at(thickness, np.concatenate([*held, []]).astype(int), np.repeat(2 * radius, sizes))
    return thickness
