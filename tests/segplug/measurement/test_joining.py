"""Dashed and gappy cracks: what is one crack, what is not, and how its figures come out."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.cli.measure_command import add
from segplug.measurement import measure_mask
from segplug.measurement.accuracy.drawn import arc_crack
from segplug.measurement.joining import _cost, has_neighbour
from segplug.measurement.mask import JOIN_PX
from segplug.measurement.piece import End, trace

Mask = NDArray[np.uint8]


def drawn(*lines: tuple[int, int, int, int, int]) -> Mask:
    """x, y, to x, to y, thickness."""
    mask = np.zeros((200, 500), np.uint8)
    for x, y, to_x, to_y, thickness in lines:
        cv2.line(mask, (x, y), (to_x, to_y), 1, thickness)
    return mask


def test_a_dashed_crack_is_one_crack() -> None:
    """25 dashes of 15 px, every one of them shorter than the least length: once "no crack"."""
    mask = np.zeros((200, 500), bool)
    for i in range(25):
        mask[100 + i % 2 : 103 + i % 2, 20 + 18 * i : 35 + 18 * i] = True
    apart, found = measure_mask(mask, join_px=0), measure_mask(mask)
    assert (len(apart.cracks), apart.left_out, apart.left_out_px) == (0, 25, 1125)
    assert apart.left_out_in_words() == "25 pieces, 1125 px (100.0 % of the crack pixels)"
    (crack,) = found.cracks
    assert crack.length_px == pytest.approx(450, rel=0.01) and (found.left_out, found.left_out_px) == (0, 0)
    assert crack.mean_width_px == pytest.approx(3, abs=0.1) and crack.max_width_px < 3.3
    assert (crack.gaps, crack.branches, crack.junctions, crack.ends, crack.loops) == (24, 1, 0, 2, 0)
    assert crack.gap_px == pytest.approx(24 * 3, rel=0.15) and crack.area_px == 1125
    assert crack.bbox_px == (20, 100, 447, 4) and abs(crack.orientation_deg or 0) < 1
    assert len(crack.centre_lines_px) == 25 + 24 and crack.row()["gaps"] == 24


@pytest.mark.parametrize(
    ("lines", "cracks"),
    [
        ([(20, 50, 100, 50, 3), (111, 50, 200, 50, 3)], 1),
        ([(20, 50, 100, 50, 3), (118, 50, 200, 50, 3)], 2),  # 16 px apart
        ([(20, 50, 100, 50, 3), (108, 54, 200, 60, 3)], 1),
        ([(20, 50, 100, 50, 3), (104, 64, 200, 64, 3)], 2),  # beside each other
        ([(20, 50, 100, 50, 3), (20, 58, 100, 58, 3)], 2),  # parallel
        ([(20, 50, 100, 50, 3), (106, 60, 200, 60, 3)], 2),  # a step to the side
        ([(20, 50, 100, 50, 3), (96, 57, 200, 57, 3)], 2),  # past each other
        ([(20, 50, 100, 50, 3), (108, 50, 108, 150, 3)], 2),  # across
        ([(20, 50, 100, 50, 3), (108, 54, 150, 98, 3)], 1),  # a bend
        ([(20, 50, 100, 50, 2), (115, 50, 200, 50, 20)], 2),  # a hair crack before a wide one
        ([(20, 50, 100, 50, 6), (110, 50, 200, 50, 3)], 1),
        ([(20, 50, 100, 50, 3), (110, 50, 112, 50, 3), (125, 50, 200, 50, 3)], 2),  # a dot is no crack
        ([(20, 50, 100, 50, 3), (108, 46, 200, 20, 3), (108, 54, 200, 80, 3)], 2),  # one end meets one end
    ],
)
def test_pieces_in_line_are_joined_and_no_others(lines: list[tuple[int, int, int, int, int]], cracks: int) -> None:
    for mask in (drawn(*lines), drawn(*lines).T, drawn(*lines)[:, ::-1]):
        found = measure_mask(np.ascontiguousarray(mask))
        assert len(found.cracks) == cracks
        assert sum(crack.gaps + 1 for crack in found.cracks) + found.left_out == len(lines)
        assert len(measure_mask(np.ascontiguousarray(mask), join_px=0).cracks) == sum(
            abs(a - c) + abs(b - d) > 20 for a, b, c, d, _ in lines
        )


def test_a_dashed_ring_stays_open() -> None:
    mask = arc_crack(4, 60, 360).mask
    angle = np.rad2deg(np.arctan2(*(np.mgrid[: mask.shape[0], : mask.shape[1]] - 66.5)))
    mask &= (angle % 30) > 5
    (crack,) = measure_mask(mask).cracks
    assert (crack.gaps, crack.loops, crack.ends) == (11, 0, 2)
    assert crack.length_px == pytest.approx(2 * np.pi * 60 - 5.2, rel=0.02)


def test_figures_of_a_joined_crack_are_those_of_the_whole_one() -> None:
    """Whole, and cut into five: width, place of the maximum, branches and direction stay, wherever it lies."""
    mask = np.zeros((260, 460), np.uint8)
    cv2.line(mask, (60, 80), (400, 150), 1, 5)
    cv2.line(mask, (230, 115), (200, 220), 1, 5)
    cv2.circle(mask, (320, 133), 8, 1, -1)
    cut = mask.copy()
    for x in (100, 150, 280, 370):
        cut[:, x : x + 5] = 0
    (whole,), (joined,) = measure_mask(mask).cracks, measure_mask(cut).cracks
    assert joined.gaps == 4 and joined.gap_px == pytest.approx(20, abs=4)
    assert joined.length_px == pytest.approx(whole.length_px, rel=0.01)
    assert joined.mean_width_px == pytest.approx(whole.mean_width_px, abs=0.2)
    assert joined.max_width_px == pytest.approx(whole.max_width_px, abs=0.3)
    assert joined.max_width_at_px == pytest.approx(whole.max_width_at_px, abs=2)
    assert joined.orientation_deg == pytest.approx(whole.orientation_deg, abs=2)
    assert (
        (joined.branches, joined.junctions, joined.ends) == (whole.branches, whole.junctions, whole.ends) == (3, 1, 3)
    )


def test_the_command_joins_what_the_function_joins() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    assert parser.parse_args(["measure", "masks"]).join_px == JOIN_PX == 12


def end(x: float, y: float, towards_deg: float, width_px: float = 3, length_px: float = 50) -> End:
    """0 degrees: to the right."""
    angle = np.deg2rad(towards_deg)
    return End(np.array([y, x]), np.array([np.sin(angle), np.cos(angle)]), width_px, length_px)


@pytest.mark.parametrize(
    ("other", "fits"),
    [
        (end(6, 0, 180 + 59), True),
        (end(6, 0, 180 + 61), False),  # turned by more than 60 degrees
        (end(6, 0, 180, 12), True),
        (end(6, 0, 180, 12.1), False),  # more than four times as wide
        (end(6, 0, 180, 0.7), False),
        (end(10, 0, 180, length_px=10), True),
        (end(10, 0, 180, length_px=9.9), False),  # more wall than crack
        (end(10, 12.9, 180), True),
        (end(10, 13.1, 180), False),  # aside by more than 35 degrees beyond half a width
        (end(10, -13.1, 180), False),
        (end(1, 0, 180), True),
        (end(-1.4, 0, 180), True),
        (end(-1.6, 0, 180), False),  # past it by more than half a width
    ],
)
def test_limits_of_what_fits(other: End, fits: bool) -> None:
    first = end(0, 0, 0)
    assert (_cost(first, other) is not None) == (_cost(other, first) is not None) == fits


def test_hair_cracks_may_differ_by_two_pixels_in_width() -> None:
    for width_px, fits in ((2.3, True), (2.5, False)):
        assert (_cost(end(0, 0, 0, 0.4), end(2, 0, 180, width_px)) is not None) == fits


def test_the_cost_of_a_gap_is_its_length_and_how_far_the_ends_miss_each_other() -> None:
    assert _cost(end(0, 0, 0), end(10, 3, 180)) == pytest.approx(109**0.5 + 3 + 3)


@pytest.mark.parametrize(("radius_px", "width_px"), [(20, 1), (30, 5)])
def test_an_end_points_along_the_last_pixels_of_its_line(radius_px: float, width_px: float) -> None:
    """Five, or three widths; points lie half a pixel apart."""
    piece = trace(np.asarray(arc_crack(width_px, radius_px, 150).mask), 0, 0)
    (line,) = piece.lines
    for found, points in zip(piece.ends, (line.points, line.points[::-1]), strict=True):
        assert found.width_px == pytest.approx(width_px, abs=0.8)
        along = points[0] - points[round(max(5, 3 * found.width_px) / 0.5)]
        assert found.out == pytest.approx(along / np.linalg.norm(along))
        assert found.tip.tolist() == points[0].tolist() and found.length_px == line.length_px


def test_only_pieces_with_a_neighbour_are_looked_at() -> None:
    """Numbers 1 and 2 lie 5 px apart, 3 by itself."""
    labels = np.zeros((60, 100), dtype=np.int32)
    labels[10, 10:30], labels[10, 35:50], labels[50, 60:90] = 1, 2, 3
    assert has_neighbour(labels, 4, 12).tolist()[1:] == [True, True, False]
    assert has_neighbour(labels, 4, 1).tolist()[1:] == [False, False, False]
