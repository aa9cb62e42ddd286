"""The pages that show: overview, surfaces and funnel, attribution with its proof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Response, request

from shop_app.admin.charts import Plot, Series, line_plot, sparkline
from shop_app.admin.formats import money, money_short, percent, percent_short, thousands
from shop_app.admin.queries.events import delivery_state
from shop_app.admin.views.base import bp, csv_answer, currency, now, page, period_links
from shop_app.analytics.alerts import open_alerts
from shop_app.analytics.intervals import Estimate
from shop_app.analytics.period import Period, parse_period
from shop_app.analytics.queries import funnel as metrics
from shop_app.analytics.queries import volume
from shop_app.analytics.queries.cells import Place
from shop_app.analytics.queries.proof import proof
from shop_app.core.errors import InvalidInput
from shop_app.core.events import EventKind

TONES = {EventKind.VIEW: 1, EventKind.CLICK: 2, EventKind.ADD: 3, EventKind.PURCHASE: 4, EventKind.CUSTOM: 5}
NAMES = {
    EventKind.VIEW: "Views",
    EventKind.CLICK: "Clicks",
    EventKind.ADD: "Adds",
    EventKind.PURCHASE: "Purchases",
    EventKind.CUSTOM: "Other",
}
BREAKDOWNS = {
    "surface": ("surface",),
    "slot": ("surface", "widget"),
    "rank": ("rank",),
    "device": ("device",),
    "audience": ("audience",),
    "arm": ("arm",),
}

NO_DAY = metrics.FunnelRow(())


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the overview with its small trend and the change against the period before."""

    name: str
    text: str
    now: float | None
    before: float | None
    trend: str
    note: str = ""


@bp.get("/")
def overview() -> str:
    """What happens in the shop, at a glance."""
    period = parse_period(request.args, now().date())
    days, before = metrics.daily(period), metrics.total(period.previous())
    surfaces = metrics.funnel(period, ("surface", "widget"))
    whole = metrics.added(surfaces)
    return page(
        "admin/overview.html",
        period=period,
        links=period_links(now()),
        tiles=[*_money_tiles(period), *_list_tiles(period, days, whole, before)],
        events=_event_plots(period, now()),
        surfaces=surfaces,
        fallback=_fallback_share(period, whole.impressions),
        state=delivery_state(now()),
        alarms=open_alerts(),
    )


@bp.get("/funnel")
def funnel_page() -> str:
    """Every metric of every place, with interval, trend, table and the period before."""
    period, by, place = _asked()
    slots = metrics.funnel(period, BREAKDOWNS["slot"])
    asked_for = [row for row in slots if _is_in(row, place)]
    rows = asked_for if by == "slot" else metrics.funnel(period, BREAKDOWNS[by], place)
    earlier = {row.key: row for row in metrics.funnel(period.previous(), BREAKDOWNS[by], place)}
    return page(
        "admin/funnel.html",
        period=period,
        links=period_links(now()),
        by=by,
        breakdowns=BREAKDOWNS,
        place=place,
        rows=rows,
        earlier=earlier,
        whole=metrics.added(asked_for),
        plots=_trends(period, place),
        slots=slots,
        definitions=metrics.DEFINITIONS,
    )


@bp.get("/funnel.csv")
def funnel_csv() -> Response:
    """The table of the funnel page as a file."""
    period, by, place = _asked()
    header = (*BREAKDOWNS[by], "impressions", "clicks", "ctr", "ctr_low", "ctr_high", "adds", "purchases")
    rows = [
        (*r.key, r.impressions, r.clicks, r.ctr.value, r.ctr.low, r.ctr.high, r.adds, r.purchases, r.revenue_minor)
        for r in metrics.funnel(period, BREAKDOWNS[by], place)
    ]
    return csv_answer(f"funnel-{period.first}-{period.last}", (*header, f"revenue_minor_{currency()}"), rows)


@bp.get("/attribution")
def attribution_page() -> str:
    """Where the money came from, and the proof that nothing is missing or counted twice."""
    period = parse_period(request.args, now().date(), default_days=7)
    return page("admin/attribution.html", period=period, links=period_links(now()), proof=proof(period))


@bp.get("/attribution.csv")
def attribution_csv() -> Response:
    """The differences of the proof as a file; only a header when it holds."""
    period = parse_period(request.args, now().date(), default_days=7)
    rows = [(d.order_number, d.position or "", d.kind, d.text, d.minor) for d in proof(period).differences]
    header = ("order", "line", "kind", "what", f"amount_minor_{currency()}")
    return csv_answer(f"attribution-differences-{period.first}-{period.last}", header, rows)


def _asked() -> tuple[Period, str, Place]:
    by = request.args.get("by", "slot")
    if by not in BREAKDOWNS:
        raise InvalidInput({"by": ["There is no such breakdown."]})
    surface, _, widget = request.args.get("slot", "").partition(".")
    return parse_period(request.args, now().date()), by, Place(surface=surface, widget=widget)


def _is_in(row: metrics.FunnelRow, place: Place) -> bool:
    """Is this row of a slot part of what was asked for?"""
    return all(not wanted or wanted == is_ for wanted, is_ in zip((place.surface, place.widget), row.key, strict=True))


def _money_tiles(period: Period) -> list[Tile]:
    days, earlier = volume.takings_by_day(period), volume.takings_by_day(period.previous())
    revenue = sum(day.revenue_minor for day in days.values())
    orders = sum(day.orders for day in days.values())
    return [
        Tile(
            "Revenue",
            money(revenue, currency()),
            revenue,
            sum(day.revenue_minor for day in earlier.values()),
            _spark(period, {day: taken.revenue_minor for day, taken in days.items()}),
        ),
        Tile(
            "Orders",
            thousands(orders),
            orders,
            sum(day.orders for day in earlier.values()),
            _spark(period, {day: taken.orders for day, taken in days.items()}),
        ),
    ]


def _list_tiles(
    period: Period, days: Mapping[date, metrics.FunnelRow], whole: metrics.FunnelRow, before: metrics.FunnelRow
) -> list[Tile]:
    return [
        Tile(
            "Revenue from lists",
            money(whole.revenue_minor, currency()),
            whole.revenue_minor,
            before.revenue_minor,
            _spark(period, {day: row.revenue_minor for day, row in days.items()}),
            "bought within 24 h of a click",
        ),
        Tile(
            "Impressions",
            thousands(whole.impressions),
            whole.impressions,
            before.impressions,
            _spark(period, {day: row.impressions for day, row in days.items()}),
        ),
        Tile(
            "CTR",
            percent(whole.ctr.value),
            whole.ctr.value,
            before.ctr.value,
            _spark(period, {day: row.ctr.value for day, row in days.items()}),
        ),
    ]


def _spark(period: Period, values: Mapping[date, float | None]) -> str:
    return sparkline([values.get(day) or 0 for day in period.each_day()]) if period.days > 1 else ""


def _event_plots(period: Period, moment: datetime) -> list[tuple[EventKind, int, Plot]]:
    """One small plot a type, each on its own scale: by day, or by hour for a day or two."""
    if period.days <= 2:
        return _hourly_plots(moment)
    counts = volume.events_by_day(period)
    days = period.each_day()
    labels = [f"{day.day} {day:%b}" for day in days]
    found = []
    for kind in EventKind:
        values = [counts.get(kind, {}).get(day, 0) for day in days]
        series = Series(kind.name.lower(), values, TONES[kind])
        found.append((kind, sum(values), line_plot(NAMES[kind], labels, [series])))
    return found


def _hourly_plots(moment: datetime) -> list[tuple[EventKind, int, Plot]]:
    counts = volume.events_by_hour(moment)
    last = moment.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=n) for n in reversed(range(volume.HOURS))]
    labels = [f"{hour:%H}:00" for hour in hours]
    found = []
    for kind in EventKind:
        values = [counts.get(kind, {}).get(hour, 0) for hour in hours]
        series = Series(kind.name.lower(), values, TONES[kind])
        found.append((kind, sum(values), line_plot(f"{NAMES[kind]} an hour", labels, [series])))
    return found


def _fallback_share(period: Period, every: int) -> float | None:
    """Cards that no recommender chose, of all `every` cards seen in lists."""
    chosen = metrics.total(period, Place(recommended=True)).impressions
    return (every - chosen) / every if every else None


def _trends(period: Period, place: Place) -> list[Plot]:
    """CTR and revenue per 1,000 impressions day by day with intervals, the period before in grey."""
    periods = (period, period.previous())
    days = tuple(_by_day(one, place) for one in periods)
    names = tuple(one.text() for one in periods)
    labels = [f"{day.day} {day:%b}" for day in period.each_day()]
    ctr = _two_lines(names, days, lambda row: row.ctr)
    per_thousand = _two_lines(names, days, lambda row: row.revenue_per_thousand)
    return [
        line_plot("CTR by day", labels, ctr, percent, axis=percent_short, least_top=0.01),
        line_plot(
            "Revenue per 1,000 impressions by day",
            labels,
            per_thousand,
            lambda value: money(value, currency()),
            axis=lambda value: money_short(value, currency()),
            least_top=100,
        ),
    ]


def _two_lines(
    names: tuple[str, ...],
    days: tuple[list[metrics.FunnelRow], ...],
    metric: Callable[[metrics.FunnelRow], Estimate],
) -> list[Series]:
    shown, past = [metric(row) for row in days[0]], [metric(row) for row in days[1]]
    return [
        Series(names[0], [e.value for e in shown], 1, [e.low for e in shown], [e.high for e in shown]),
        Series(names[1], [e.value for e in past], 0),
    ]


def _by_day(period: Period, place: Place) -> list[metrics.FunnelRow]:
    days = metrics.daily(period, place)
    return [days.get(day, NO_DAY) for day in period.each_day()]
