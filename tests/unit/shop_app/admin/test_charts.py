"""Plots: round scales, gaps, single points, bands, labels; numbers as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.admin.charts import Series, line_plot, scale, share, sparkline, whiskers
from shop_app.admin.formats import change, duration, money_short, percent, safe_cell, score


@given(st.floats(1e-6, 1e12))
def test_a_scale_reaches_the_largest_value_and_not_much_more(largest: float) -> None:
    top, steps = scale(largest, 1e-9)

    assert largest <= top * (1 + 1e-9)
    assert top <= largest * 2.01
    assert steps in {4, 5}


def test_a_gap_starts_a_new_run_and_a_lonely_point_is_a_dot() -> None:
    plot = line_plot("T", list("abcde"), [Series("s", [0, 5, None, 10, None])])

    assert plot.lines[0].path == "M0 1000L250 500M750 0h0"
    assert len(plot.lines[0].points) == 3


def test_a_band_needs_two_neighbours_with_both_ends() -> None:
    series = Series("s", [5, 5, 5], low=[4, 4, None], high=[6, 6, 6])

    assert line_plot("T", list("abc"), [series]).lines[0].band == "M0 250L500 250L500 500L0 500Z"


def test_the_table_says_what_the_plot_shows() -> None:
    plot = line_plot("T", ["Mon", "Tue"], [Series("now", [1, 2]), Series("before", [None, 4], 0)])

    assert plot.header == ("", "now", "before")
    assert plot.rows == (("Mon", "1", "–"), ("Tue", "2", "4"))
    assert "now: last 2, highest 2 (Tue)" in plot.description


@pytest.mark.parametrize("days", [1, 2, 6, 7, 28, 29, 90, 365])
def test_labels_begin_and_end_with_the_first_and_the_last(days: int) -> None:
    labels = [str(n) for n in range(days)]

    shown = line_plot("T", labels, [Series("s", [1.0] * days)]).x_labels

    assert (shown[0], shown[-1]) == ("0", str(days - 1))
    assert len(shown) <= 6


def test_nothing_is_an_empty_plot_and_not_a_crash() -> None:
    assert line_plot("T", [], [Series("s", [])]).is_empty
    assert sparkline([]) == ""
    assert share(1, 0) == 0


def test_whiskers_share_a_scale_with_zero_in_the_middle() -> None:
    wide, narrow = whiskers([(-9.0, -0.8, 0.0, 0.8, 9.0), (0.1, 0.2, 0.3, 0.4, 0.5)])

    assert wide.outer == (0.0, 100.0)
    assert wide.inner == (10.0, 90.0)
    assert (narrow.point, narrow.reach) == (65.0, 1.0)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_shown_as_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(-1) == "-1"
    assert safe_cell("mug") == "mug"


def test_numbers_read_well() -> None:
    assert (percent(0.1234), percent(0.0123), percent(None)) == ("12.3 %", "1.23 %", "–")
    assert (change(110, 100), change(90, 100), change(1, 0)) == ("+10.0 %", "−10.0 %", "")
    assert (money_short(123_456, "GBP"), money_short(99, "GBP")) == ("£1,235", "£0.99")
    assert duration(None) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (1.00012, "1.0001"), (0.1795, "0.1795"), (0.0000179, "0.000018"), (-0.00052, "-0.00052")],
)
def test_a_small_score_is_not_written_as_nought(value: float, text: str) -> None:
    assert score(value) == text
    assert score(value, "+") == (text if value < 0 else f"+{text}")
