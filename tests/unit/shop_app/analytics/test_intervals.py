"""Intervals against published values and what must always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.analytics.intervals import NOTHING, RatioSums, compound_rate, delta_ratio, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(10, 100, 0.0552291, 0.1743657), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0)],
)
def test_wilson_equals_reference_values(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)

    assert found.value == successes / trials
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_delta_ratio_equals_the_reference_example() -> None:
    clicks, views = (1, 0, 2, 1, 0, 3), (4, 2, 5, 3, 1, 9)
    sums = RatioSums(
        6,
        sum(views),
        sum(clicks),
        sum(x * x for x in views),
        sum(y * y for y in clicks),
        sum(x * y for x, y in zip(views, clicks, strict=True)),
    )

    found = delta_ratio(sums)

    assert found.value == pytest.approx(0.2916667, abs=1e-6)
    assert (found.high - found.value) / 1.959963984540054 == pytest.approx(0.0433680, abs=1e-6)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share_inside_zero_and_one(successes: int, trials: int) -> None:
    found = wilson(successes, trials)

    if successes > trials:
        assert not found.has_interval
    else:
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value <= found.high + 1e-12
        assert found.high <= 1


def test_nothing_to_divide_by_is_nothing() -> None:
    assert wilson(0, 0) == NOTHING
    assert delta_ratio(RatioSums(0, 0, 0, 0, 0, 0)) == NOTHING
    assert compound_rate(0, 0, 0) == NOTHING


def test_an_amount_per_unit_narrows_with_the_root_of_how_many_amounts_there_are() -> None:
    one, many = compound_rate(100, 100**2, 1), compound_rate(100 * 400, 100**2 * 400, 400)

    assert one.value == many.value == 100
    assert (one.high - 100) / (many.high - 100) == pytest.approx(20)
