"""The last hour, which refreshes itself: events, funnel, takings, the recommender's health and freshness."""

from flask import url_for

from shop_app.admin.charts import Plot, Series, line_plot, sparkline
from shop_app.admin.queries.events import delivery_state
from shop_app.admin.views.base import bp, now, page
from shop_app.admin.views.insights import NAMES, TONES
from shop_app.analytics.alerts import open_alerts
from shop_app.analytics.queries.live import STEPS, Live, live
from shop_app.core.events import EventKind

REFRESH_S = 5
"""Counts of answers are at most that old themselves."""


@bp.get("/live")
def live_page() -> str:
    """The page, with the figures of this moment; a script brings newer ones until somebody says stop."""
    return page("admin/live.html", **_values(), refresh_s=REFRESH_S, source=url_for("admin.live_figures"))


@bp.get("/live/figures")
def live_figures() -> str:
    """The figures alone."""
    return page("admin/_live.html", **_values())


def _values() -> dict[str, object]:
    seen = live(now())
    return {
        "live": seen,
        "now": now(),
        "state": delivery_state(now()),
        "alarms": open_alerts(),
        "events": [(NAMES[kind], sum(seen.events[kind]), TONES[kind], _spark(seen, kind)) for kind in EventKind],
        "plots": [_events_plot(seen), _latency_plot(seen)],
        "steps": STEPS,
        "names": NAMES,
        "fresh_trend": sparkline([run.lag_ms for run in seen.fresh.runs]) if len(seen.fresh.runs) > 1 else "",
    }


def _spark(seen: Live, kind: EventKind) -> str:
    return sparkline(list(seen.events[kind]))


def _labels(seen: Live) -> list[str]:
    return [f"{minute:%H:%M}" for minute in seen.minutes]


def _events_plot(seen: Live) -> Plot:
    lines = [Series(NAMES[kind], list(seen.events[kind]), TONES[kind]) for kind in EventKind]
    return line_plot("Events a minute", _labels(seen), lines, least_top=10)


def _latency_plot(seen: Live) -> Plot:
    """An answer slower than the last class is drawn at its bound: that is all that is known."""
    found = [seen.latency.get(minute, (None, None)) for minute in seen.minutes]
    capped = [[None if value is None else min(value, 1000.0) for value in pair] for pair in found]
    half, most = [pair[0] for pair in capped], [pair[1] for pair in capped]
    lines = [Series("half within", half, 1), Series("95 of 100 within", most, 3)]
    return line_plot("Answers: time in ms", _labels(seen), lines, "{:,.0f} ms".format, least_top=20)
