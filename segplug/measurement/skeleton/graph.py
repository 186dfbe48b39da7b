"""The centre line of a mask as a graph: branches of pixels between junctions and ends, without spurs.

Thinning: Lee et al. 1994, https://doi.org/10.1006/cgip.1994.1042, by scikit-image. The graph is not skan's: it parts
junctions whose pixels touch (4 of 79 DeepCrack cracks got other figures, 8 junctions for 5) and compiles for 16 s.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from segplug.arrays import Floats, Mask, Points

Pixel = tuple[int, int]
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, -1), (-1, 1))


@dataclass(frozen=True, eq=False)
class Branch:
    """`points`: (N, 2) row and column of pixel centres, N >= 1, from node `start` to node `end`."""

    points: Points
    start: int
    end: int

    @property
    def length_px(self) -> float:
        """Steps of 1 and the square root of 2."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True, eq=False)
class SkeletonGraph:
    """`nodes`: (row, column) of each junction and end; a closed ring has one node, of degree 2."""

    nodes: dict[int, tuple[float, float]]
    branches: list[Branch]

    def topology(self, distance_px: Floats) -> tuple[int, int, int, int]:
        """Numbers of branches, junctions, ends and loops.

        Junctions closer than half the local width are one, as where two cracks cross: thinning parts them.
        """
        merged = {node: node for node in self.nodes}

        def root(node: int) -> int:
            while merged[node] != node:
                node = merged[node]
            return node

        degree, short = self.degrees(), 0
        for branch in self.branches:
            start, end = root(branch.start), root(branch.end)
            ends = (self.nodes[branch.start], self.nodes[branch.end])
            reach = max(float(distance_px[round(row), round(column)]) for row, column in ends)
            if start != end and degree[branch.start] > 2 < degree[branch.end] and branch.length_px < reach:
                merged[start] = end
                short += 1
        junctions = {root(node) for node in self.nodes if degree[node] > 2}
        point = len(self.branches) == 1 and len(self.branches[0].points) == 1
        free = 2 if point else sum(d == 1 for d in degree.values())
        loops = 0 if point else len(self.branches) - len(self.nodes) + 1
        return len(self.branches) - short, len(junctions), free, loops

    def degrees(self) -> dict[int, int]:
        """Branch ends at each node."""
        count = dict.fromkeys(self.nodes, 0)
        for branch in self.branches:
            count[branch.start] += 1
            count[branch.end] += 1
        return count


def skeleton_graph(mask: Mask) -> SkeletonGraph:
    """The graph of one 8-connected component, (H, W). A single point gives one branch of one point."""
    from skimage.morphology import skeletonize

    near = _neighbours({(int(r), int(c)) for r, c in np.argwhere(skeletonize(mask, method="lee"))})
    node_of = _cluster_nodes(near)
    members: dict[int, list[Pixel]] = defaultdict(list)
    for pixel, node in node_of.items():
        members[node].append(pixel)
    centres = {n: tuple(map(float, np.mean(pixels, axis=0))) for n, pixels in members.items()}
    branches, seen = [], set()
    for node, pixels in members.items():
        for first in pixels:
            if not near[first]:
                branches.append(Branch(np.array([first], dtype=np.float64), node, node))
            for step in near[first]:
                if (node_of.get(step) == node and len(pixels) > 1) or (first, step) in seen:
                    continue
                walk = [first, step]
                while walk[-1] not in node_of:
                    walk.append(next(p for p in near[walk[-1]] if p != walk[-2]))
                seen |= {(first, step), (walk[-1], walk[-2])}
                end = node_of[walk[-1]]
                line = np.array([centres[node], *walk[1:-1], centres[end]], dtype=np.float64)
                branches.append(Branch(line, node, end))
    return SkeletonGraph(centres, branches)  # type: ignore[arg-type]


def prune_spurs(graph: SkeletonGraph, distance_px: Floats) -> SkeletonGraph:
    """Without branches that end freely and are shorter than the crack is wide where they leave it.

    `distance_px`: (H, W) distance transform of the mask. All spurs of a junction go at once, so that the fork that
    thinning leaves at a blunt end becomes one end; a component of spurs alone keeps its two longest.
    """
    graph = _merge_passages(graph)
    while True:
        degree, spurs = graph.degrees(), defaultdict(list)
        for branch in graph.branches:
            ends = sorted((branch.start, branch.end), key=degree.__getitem__)
            row, column = graph.nodes[ends[1]]
            width = 2 * float(distance_px[round(row), round(column)])
            if degree[ends[0]] == 1 and degree[ends[1]] > 2 and branch.length_px < width:
                spurs[ends[1]].append(branch)
        for node, found in spurs.items():
            if len(found) == degree[node]:
                found.sort(key=lambda b: b.length_px)
                del found[-2:]
        gone = {id(branch) for found in spurs.values() for branch in found}
        if not gone:
            return graph
        kept = [branch for branch in graph.branches if id(branch) not in gone]
        used = {node for branch in kept for node in (branch.start, branch.end)}
        graph = _merge_passages(SkeletonGraph({n: graph.nodes[n] for n in used}, kept))


def _merge_passages(graph: SkeletonGraph) -> SkeletonGraph:
    """Nodes where just two branches meet become points of one branch."""
    nodes, branches = dict(graph.nodes), dict(enumerate(graph.branches))
    at: dict[int, list[int]] = {node: [] for node in nodes}
    for key, branch in branches.items():
        at[branch.start].append(key)
        at[branch.end].append(key)
    for node in graph.nodes:
        if len(at[node]) != 2 or at[node][0] == at[node][1]:
            continue
        first, second = (branches.pop(key) for key in at[node])
        head = first if first.end == node else Branch(first.points[::-1], first.end, first.start)
        tail = second if second.start == node else Branch(second.points[::-1], second.end, second.start)
        merged = Branch(np.concatenate([head.points, tail.points[1:]]), head.start, tail.end)
        kept, gone = at.pop(node)
        branches[kept] = merged
        at[merged.end] = [kept if key == gone else key for key in at[merged.end]]
        del nodes[node]
    return SkeletonGraph(nodes, list(branches.values()))


def _neighbours(pixels: set[Pixel]) -> dict[Pixel, list[Pixel]]:
    """8-neighbours; a diagonal counts only where no path over a side exists, so that corners are no triangles."""
    near: dict[Pixel, list[Pixel]] = {}
    for r, c in pixels:
        found = [(r + dr, c + dc) for dr, dc in SIDES if (r + dr, c + dc) in pixels]
        for dr, dc in CORNERS:
            if (r + dr, c + dc) in pixels and (r + dr, c) not in pixels and (r, c + dc) not in pixels:
                found.append((r + dr, c + dc))
        near[r, c] = found
    return near


def _cluster_nodes(near: dict[Pixel, list[Pixel]]) -> dict[Pixel, int]:
    """Pixel -> node: ends, and junctions, whose touching pixels are one node; one pixel of a component without any."""
    node_of: dict[Pixel, int] = {}
    node = -1
    for pixel in sorted(near):
        if len(near[pixel]) == 2 or pixel in node_of:
            continue
        node, stack = node + 1, [pixel]
        while stack:
            at = stack.pop()
            node_of[at] = node
            if len(near[at]) > 2:
                stack += [p for p in near[at] if len(near[p]) > 2 and p not in node_of]
    return node_of or {min(near): 0}
