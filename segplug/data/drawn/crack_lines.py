"""Where cracks run: centre lines with a radius at each point. Single, branching, broken, or a net of plates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segplug.data.drawn.noise import smooth_steps


@dataclass(frozen=True, eq=False)
class CrackLine:
    """points: (n, 2) x, y about a pixel apart. radius: (n,) half widths less half a pixel, 0 where it is closed."""

    points: NDArray[np.float32]
    radius: NDArray[np.float32]


def crack_lines(rng: np.random.Generator, size: int, width_px: float) -> list[CrackLine]:
    """One crack across or within a (size, size) scene, and its branches. width_px: typical width of the main line."""
    heading = rng.uniform(0, 2 * np.pi)
    long = rng.random() < 0.7
    length = int(size * (rng.uniform(1.0, 1.9) if long else rng.uniform(0.15, 0.8)))
    centre = rng.uniform(0.2 * size, 0.8 * size, 2)
    start = centre - 0.5 * length * np.array([np.cos(heading), np.sin(heading)])
    rough = rng.uniform(0.3, 1.0)
    main = _line(rng, start, heading, length, width_px, rough, broken=rng.random() < 0.3)
    lines, todo = [main], [(main, 0)]
    branchy = rng.choice([0.0, 0.6, 1.5, 3.0])
    while todo and len(lines) < 12:
        parent, depth = todo.pop()
        for _ in range(rng.poisson(branchy / (1 + 2 * depth) * len(parent.points) / size)):
            i = int(rng.integers(len(parent.points) // 10, max(len(parent.points) // 10 + 1, len(parent.points) - 4)))
            ahead = parent.points[min(i + 4, len(parent.points) - 1)] - parent.points[max(0, i - 4)]
            turn = np.arctan2(ahead[1], ahead[0]) + rng.choice([-1, 1]) * rng.uniform(0.35, 1.5)
            width = 2 * float(parent.radius[i]) * rng.uniform(0.35, 0.9)
            if width > 0.6:
                branch = _line(rng, parent.points[i], turn, int(rng.uniform(0.08, 0.6) * size), width, rough, False)
                lines.append(branch)
                if depth == 0:
                    todo.append((branch, 1))
    return lines


def net_lines(rng: np.random.Generator, size: int, width_px: float) -> list[CrackLine]:
    """Alligator cracking: the edges of a Voronoi diagram, bent, some of them closed."""
    from scipy.spatial import Voronoi

    cell = rng.uniform(0.1, 0.35) * size
    count = int((1.6 * size / cell) ** 2)
    plates = Voronoi(rng.uniform(-0.3 * size, 1.3 * size, (count, 2)))
    centre, reach = rng.uniform(0, size, 2), rng.uniform(0.4, 1.2) * size
    lines = []
    for a, b in plates.ridge_vertices:
        if min(a, b) < 0 or rng.random() < 0.1:
            continue
        start, end = plates.vertices[a], plates.vertices[b]
        if np.hypot(*(0.5 * (start + end) - centre)) > reach:
            continue
        along = end - start
        length = int(np.hypot(*along))
        if not 4 <= length <= 2 * size:
            continue
        width = width_px * rng.uniform(0.4, 1.1)
        line = _line(rng, start, np.arctan2(along[1], along[0]), length, width, 0.7, rng.random() < 0.1, taper=False)
        miss = np.linspace(0, 1, len(line.points), dtype=np.float32)[:, None] * (end - line.points[-1])
        lines.append(CrackLine((line.points + miss).astype(np.float32), line.radius))
    return lines


def _line(
    rng: np.random.Generator,
    start: NDArray[np.floating],
    heading: float,
    length: int,
    width_px: float,
    rough: float,
    broken: bool,
    taper: bool = True,
) -> CrackLine:
    """A wandering line: slow bends, jags of a few pixels to a few dozen, a width that swells and narrows."""
    n = max(8, length)
    angle = (
        heading
        + rng.uniform(0.05, 0.3) * smooth_steps(rng, n, 120)
        + rough * (0.35 * smooth_steps(rng, n, 24) + 0.5 * smooth_steps(rng, n, 7))
    )
    points = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0) + start
    radius = 0.5 * width_px * np.exp(0.35 * smooth_steps(rng, n, 60) + 0.22 * smooth_steps(rng, n, 9))
    if taper:
        to_end = np.minimum(np.arange(n), np.arange(n)[::-1]) / max(1.0, n * rng.uniform(0.05, 0.4))
        radius = radius * np.minimum(1, to_end) ** 0.6
    if broken:
        radius = radius * np.clip(2.5 * (smooth_steps(rng, n, rng.uniform(12, 50)) + rng.uniform(0.2, 1.0)), 0, 1)
    return CrackLine(points.astype(np.float32), radius.astype(np.float32))
