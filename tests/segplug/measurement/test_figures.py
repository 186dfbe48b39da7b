"""Figures to the pixel: where lines and maxima lie, how long the widest stretch is, how totals are made."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter1d

from segplug.measurement import MaskMeasurement, measure_mask
from segplug.measurement.accuracy.drawn import arc_crack, jagged_crack, sine_crack, straight_crack
from segplug.measurement.accuracy.table import jagged_errors
from segplug.measurement.crack import Crack
from segplug.measurement.report.page import JAGGED_PERCENT
from segplug.measurement.skeleton.centre_line import RAY_STEP_PX, _edge
from segplug.measurement.skeleton.width_profile import _averaged


def crack(number: int, length: float, mean: float, widest: float = 3) -> Crack:
    return Crack(number, length, mean, widest, (0, 0), None, 1, 1, 0, 2, 0, (0, 0, 1, 1))


def strip(width: int = 4) -> NDArray[np.bool_]:
    mask = np.zeros((90, 240), dtype=bool)
    mask[40 : 40 + width, 20:220] = True
    return mask


def test_mean_width_of_a_mask_is_weighted_by_length() -> None:
    mask = MaskMeasurement(100, 100, 0.5, (crack(1, 90, 10), crack(2, 10, 2, widest=12)), 500, 0, 0)
    assert mask.mean_width_px == pytest.approx(9.2) and mask.mean_width_mm == pytest.approx(4.6)
    assert mask.length_px == 100 and mask.length_mm == 50 and mask.max_width_px == 12 and mask.max_width_mm == 6
    assert mask.density_px_per_px2 == 0.01 and mask.density_mm_per_mm2 == 0.02 and mask.crack_share == 0.05


@pytest.mark.parametrize("turned", [False, True])
def test_centre_line_lies_on_the_middle_of_the_pixels(turned: bool) -> None:
    """Rows 40 to 43, columns 20 to 219: pixel centres are whole numbers, edges half ones."""
    mask = strip().T if turned else strip()
    (found,) = measure_mask(np.ascontiguousarray(mask)).cracks
    (line,) = found.centre_lines_px
    along, across = (line[:, 1], line[:, 0]) if turned else (line[:, 0], line[:, 1])
    assert across == pytest.approx(np.full(len(across), 41.5), abs=0.51)
    assert np.mean(across) == pytest.approx(41.5, abs=0.5) and abs(np.mean(along) - 119.5) < 0.3
    assert sorted((along[0], along[-1])) == pytest.approx([19.5, 219.5], abs=0.2)
    odd = strip(5).T if turned else strip(5)
    ((line,),) = (c.centre_lines_px for c in measure_mask(np.ascontiguousarray(odd)).cracks)
    assert line[:, 0 if turned else 1] == pytest.approx(np.full(len(line), 42.0), abs=0.01)


def test_place_of_the_maximum_is_the_middle_of_the_bulge() -> None:
    mask = strip(5)
    mask[36:49, 119:130] = True  # 13 px wide around row 42, column 124
    (found,) = measure_mask(mask).cracks
    assert found.max_width_at_px == pytest.approx((124, 42), abs=0.6)


def test_the_widest_stretch_is_about_one_width_long() -> None:
    """A bulge of 7 px, 6 px long, on a crack of 5 px, under a Hann window of 5 px to each side."""
    mask = strip(5)
    mask[39:46, 116:122] = True
    (found,) = measure_mask(mask).cracks
    window = np.hanning(21)
    share = window[4:17].sum() / window.sum()
    assert found.max_width_px == pytest.approx(5 + 2 * share, abs=0.1)
    assert found.mean_width_px == pytest.approx(5 + 12 / 195, abs=0.01)


def test_a_stretch_needs_three_quarters_of_its_window_clear() -> None:
    owned = np.ones(101)
    owned[0] = 30  # what a junction throws in beside the line's end
    clear = np.ones(101, dtype=bool)
    width = _averaged(owned, clear, 10, 0.5)
    window = np.hanning(21)
    enough = [window[max(0, 10 - i) :].sum() / window.sum() >= 0.75 for i in range(101)]
    assert enough[:4] == [False, False, False, True] and (width[:3] == 0).all()
    assert width[3] == pytest.approx((window[7:].sum() + 29 * window[7]) / window[7:].sum() / 0.5)
    assert width[50] == pytest.approx(2)
    assert _averaged(owned[:5], clear[:5], 10, 0.5).max() > 0  # all of a short line, which has no such stretch


@pytest.mark.parametrize("width_px", [1, 8, 20])
def test_corners_shorten_a_crack_by_less_than_the_report_says(width_px: int) -> None:
    for seed in range(3):
        error = jagged_errors(width_px, seed).length_percent
        assert error is not None and -JAGGED_PERCENT < error < 0


@pytest.mark.parametrize(
    ("pieces", "left_px", "crack_px", "words"),
    [
        (1, 1, 1, "1 piece, 1 px (100.0 % of the crack pixels)"),
        (2, 8, 58, "2 pieces, 8 px (13.8 % of the crack pixels)"),
        (0, 0, 0, "0 pieces, 0 px (0.0 % of the crack pixels)"),
    ],
)
def test_what_was_left_out_in_words(pieces: int, left_px: int, crack_px: int, words: str) -> None:
    assert MaskMeasurement(10, 10, None, (), crack_px, pieces, left_px).left_out_in_words() == words


def test_rows_round_to_hundredths_and_to_five_figures() -> None:
    one = Crack(1, 90.123456, 10.123456, 12.123456, (7.26, 8.24), 30.26, 100, 2, 1, 3, 0, (1, 2, 3, 4), 0.0123456)
    row = one.row()
    assert [row[key] for key in ("length_px", "mean_width_px", "max_width_px")] == [90.12, 10.12, 12.12]
    assert [row[key] for key in ("length_mm", "mean_width_mm", "max_width_mm")] == [1.1126, 0.12498, 0.14967]
    assert (row["max_width_x_px"], row["max_width_y_px"], row["orientation_deg"]) == (7.3, 8.2, 30.3)
    assert row["area_mm2"] == 0.015241
    total = MaskMeasurement(100, 300, 0.0123456, (one,), 123, 1, 23).row()
    assert [total[key] for key in ("length_px", "mean_width_px", "max_width_px")] == [90.12, 10.12, 12.12]
    assert [total[key] for key in ("length_mm", "mean_width_mm", "max_width_mm")] == [1.1126, 0.12498, 0.14967]
    assert (total["crack_share"], total["density_px_per_px2"], total["density_mm_per_mm2"]) == (
        0.0041,
        0.003004,
        0.24333,
    )


def test_drawn_cracks_are_as_long_and_wide_as_they_say_and_the_seeds_own() -> None:
    """They are what the accuracy of the docs is measured with."""
    wave = sine_crack(3, 15, 120)
    slope = 2 * np.pi * 15 / 120
    exact = quad(lambda x: np.hypot(1, slope * np.cos(2 * np.pi * x / 120)), 0, 240)[0]
    assert wave.length_px == pytest.approx(exact, rel=1e-3)
    rows, columns = np.nonzero(wave.mask)
    assert np.ptp(columns) + 1 == pytest.approx(240, abs=4) and np.ptp(rows) + 1 == pytest.approx(33, abs=2)
    drawn = {
        "straight": lambda seed: straight_crack(4, 20, seed=seed),
        "arc": lambda seed: arc_crack(4, 40, seed=seed),
        "sine": lambda seed: sine_crack(4, 15, 120, seed=seed),
        "jagged": lambda seed: jagged_crack(4, seed),
    }
    for name, draw in drawn.items():
        first, again, other = draw(1), draw(1), draw(2)
        assert np.array_equal(first.mask, again.mask) and not np.array_equal(first.mask, other.mask), name
        area = np.count_nonzero(first.mask)
        assert area == pytest.approx(4 * first.length_px, rel=0.04), name


def test_a_line_is_drawn_out_by_a_width_at_most() -> None:
    """To where the mask ends, half a step beyond the last point inside."""
    mask, distance = np.ones((60, 60), dtype=bool), np.full((60, 60), 5.0)
    tip, along = np.array([30.0, 20.0]), np.array([0.0, 1.0])
    assert 11 - RAY_STEP_PX <= _edge(mask, tip, along, distance)[1] - 20 <= 11 + RAY_STEP_PX
    mask[:, 26:] = False
    assert _edge(mask, tip, along, distance) == pytest.approx([30, 25.5], abs=RAY_STEP_PX)


@pytest.mark.parametrize("across", [2, 3, 5])
def test_a_piece_that_is_all_ends_is_widest_in_its_middle(across: int) -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10 : 10 + across, 20:24] = True
    widest = measure_mask(mask, min_length_px=0).widest
    assert widest is not None
    assert widest.max_width_at_px == pytest.approx((21.5, 9.5 + across / 2), abs=0.75)


def test_the_line_of_a_wide_rough_crack_does_not_follow_its_edges() -> None:
    """40 px wide, 400 long, each edge rough by 4 px: the line is smoothed the more the wider the crack is."""
    rng = np.random.default_rng(0)
    upper, lower = (gaussian_filter1d(rng.normal(size=400), 6) for _ in range(2))
    mask = np.zeros((120, 400), dtype=bool)
    for column, (up, down) in enumerate(zip(4 * upper / upper.std(), 4 * lower / lower.std(), strict=True)):
        mask[round(40 + up) : round(80 + down), column] = True
    assert measure_mask(mask).length_px == pytest.approx(400, abs=5)
