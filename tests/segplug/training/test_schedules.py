"""Learning-rate factors: rise, fall, end; the two published forms by their formula."""

import math

import pytest

from segplug.training.schedules import Schedule, lr_factor


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_it_rises_then_falls_to_the_final_share(schedule: Schedule) -> None:
    factors = [lr_factor(step, 10, 100, schedule) for step in range(101)]
    assert factors[:11] == sorted(factors[:11]) and factors[0] == pytest.approx(1 / 11) and factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0.01) and lr_factor(500, 10, 100, schedule) == pytest.approx(0.01)


def test_the_formulas_at_a_quarter() -> None:
    assert lr_factor(25, 0, 100, "cosine", final=0) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert lr_factor(25, 0, 100, "poly", power=2, final=0) == pytest.approx(0.75**2)
    assert lr_factor(25, 0, 100, "poly", power=1, final=0.2) == pytest.approx(0.2 + 0.8 * 0.75)


def test_a_run_that_is_all_warm_up_has_no_gap() -> None:
    assert [lr_factor(step, 4, 4) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
