"""Whole UTC days: reading them, the period before, both ends."""

from datetime import UTC, date, datetime

import pytest

from shop_app.analytics.period import Period, last_days, parse_period
from shop_app.core.errors import InvalidInput

TODAY = date(2026, 3, 2)


def test_without_days_the_last_four_weeks_end_today() -> None:
    period = parse_period({}, TODAY)

    assert (period.first, period.last, period.days) == (date(2026, 2, 3), TODAY, 28)


def test_the_period_before_is_as_long_and_touches() -> None:
    period = last_days(7, TODAY)

    assert period.previous() == Period(date(2026, 2, 17), date(2026, 2, 23))
    assert period.previous().end == period.start == datetime(2026, 2, 24, tzinfo=UTC)
    assert len(period.each_day()) == 7


@pytest.mark.parametrize(
    "args",
    [{"from": "yesterday"}, {"to": "2026-13-01"}, {"from": "2026-03-03", "to": "2026-03-01"}, {"from": "2020-01-01"}],
)
def test_days_that_are_none_are_refused(args: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        parse_period(args, TODAY)


def test_a_period_reads_like_people_write_it() -> None:
    assert Period(TODAY, TODAY).text() == "2 Mar 2026"
    assert Period(date(2025, 12, 30), TODAY).text() == "30 Dec 2025 – 2 Mar 2026"
