"""Service levels and costs: does the recommender keep its promises, and what does it use?"""

from datetime import UTC, datetime, timedelta

from flask import request

from shop_app.admin.charts import Plot, Series, line_plot
from shop_app.admin.formats import percent, percent_short
from shop_app.admin.views.base import bp, now, page, period_links
from shop_app.analytics.levels import FEWEST_BAD, WINDOWS, levels
from shop_app.analytics.monitoring.burn_rate import RULES
from shop_app.analytics.period import parse_period
from shop_app.analytics.queries.costs import costs
from shop_app.recsys.queries import answers, answers_over_time, summary

SHOWN_H = 48
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@bp.get("/service-levels")
def service_levels() -> str:
    """Each promise with what is left of its budget, how fast it burns, and which slots are behind it."""
    moment = now()
    rows = answers(moment - DAY, moment + timedelta(minutes=1))
    by_slot = [(slot, summary([row for row in rows if row.slot == slot])) for slot in {row.slot for row in rows}]
    return page(
        "admin/service_levels.html",
        levels=levels(moment),
        windows=WINDOWS,
        rules=RULES,
        fewest_bad=FEWEST_BAD,
        slots=sorted(by_slot, key=lambda pair: (-pair[1].answers, pair[0])),
        whole=summary(rows),
        plot=_plot(moment),
    )


@bp.get("/costs")
def costs_page() -> str:
    """What the recommender's work used: calls by verb, CPU, bytes, and what remembering saved."""
    period = parse_period(request.args, now().date(), default_days=7)
    return page("admin/costs.html", period=period, links=period_links(now()), found=costs(period))


def _plot(moment: datetime) -> Plot:
    """Shares of the last 48 hours, an hour a point; hours without answers are gaps."""
    last = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [last - n * HOUR for n in reversed(range(SHOWN_H))]
    counts = {hour: [0, 0, 0] for hour in hours}
    for began, found in answers_over_time(hours[0], last + HOUR, "hour"):
        hour = counts[began]
        for place, number in enumerate((found.answers, found.late + found.failed, found.cached + found.fallback)):
            hour[place] += number
    labels = [f"{hour.day} {hour:%b %H:00}" for hour in hours]
    series = [
        Series(name, [counts[hour][place] / counts[hour][0] if counts[hour][0] else None for hour in hours], tone)
        for name, place, tone in (("Late or failed", 1, 4), ("Not the model's fresh list", 2, 2))
    ]
    return line_plot("The last 48 hours", labels, series, percent, axis=percent_short, least_top=0.05)
