"""The same numbers, counted with loops over every row: slow, plain, and written without looking at the SQL."""

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import select

from shop_app.accounts.models import IdentityMerge
from shop_app.analytics.period import Period
from shop_app.analytics.queries.cells import Place
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.tracking.models import TrackedEvent


def lists(period: Period, by: tuple[str, ...], place: Place) -> dict[tuple, dict[str, float]]:
    """Impressions, clicks and adds of every place, and shoppers' days."""
    found: dict[tuple, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in db.session.scalars(select(TrackedEvent)):
        if event.is_bot or event.is_qa or not event.widget:
            continue
        if not period.first <= event.occurred_at.date() <= period.last:
            continue
        if any(wanted and getattr(event, name) != wanted for name, wanted in _wanted(place)):
            continue
        key = tuple(_of(event, name) for name in by)
        step = {0: "impressions", 1: "clicks", 2: "adds"}.get(event.type)
        if step:
            found[key][step] += 1
    return found


def _of(event: TrackedEvent, name: str):
    if name == "audience":
        return "member" if event.shopper_key[:2] == "u_" else "guest"
    if name == "arm":
        return f"{event.meta['experiment']} · {event.meta['ab_bucket']}" if "experiment" in event.meta else ""
    return getattr(event, name)


def shopper_days(period: Period, by: tuple[str, ...], place: Place) -> dict[tuple, list[tuple[int, int]]]:
    """Place → (impressions, clicks) of each shopper on each day in each list."""
    counts: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for event in db.session.scalars(select(TrackedEvent)):
        if event.is_bot or event.is_qa or not event.widget or not event.surface or event.type > 1:
            continue
        if not period.first <= event.occurred_at.date() <= period.last:
            continue
        if any(wanted and getattr(event, name) != wanted for name, wanted in _wanted(place)):
            continue
        unit = (event.surface, event.widget, event.shopper_key, event.occurred_at.date())
        counts[unit][event.type] += 1
    found: dict[tuple, list[tuple[int, int]]] = defaultdict(list)
    for (surface, widget, _, _), (x, y) in counts.items():
        found[tuple({"surface": surface, "widget": widget}[name] for name in by)].append((x, y))
    return found


def credits_of_lines() -> dict[int, tuple[str, str, str, int]]:
    """Order line id → (credit, surface, widget, rank), by the rule of `queries.attribution`."""
    merged = defaultdict(set)
    for merge in db.session.scalars(select(IdentityMerge)):
        merged[merge.member_key].add(merge.anonymous_key)
    events = list(db.session.scalars(select(TrackedEvent)))
    verdicts = {}
    for order in db.session.scalars(select(Order)):
        people = {order.shopper_key} | merged[order.shopper_key]
        for line in order.lines:
            if order.is_imported:
                continue
            near = [
                e
                for e in events
                if e.recommended
                and e.widget
                and not (e.is_bot or e.is_qa)
                and e.shopper_key in people
                and e.item_id == line.item_id
                and e.occurred_at <= order.placed_at
            ]
            clicks = [
                (e.occurred_at, e.surface, e.widget, e.rank)
                for e in near
                if e.type == 1 and order.placed_at - e.occurred_at <= timedelta(days=7)
            ]
            if line.recommended and line.clicked_at and order.placed_at - line.clicked_at <= timedelta(days=7):
                clicks.append((line.clicked_at, line.surface, line.widget, line.rank))
            views = [
                (e.occurred_at, e.surface, e.widget, e.rank)
                for e in near
                if e.type == 0 and order.placed_at - e.occurred_at <= timedelta(hours=24)
            ]
            if clicks:
                at, *where = max(clicks)
                kind = "click_24h" if order.placed_at - at <= timedelta(hours=24) else "click_7d"
            elif views:
                kind, (_, *where) = "view", max(views)
            else:
                kind, where = "organic", ["", "", 0]
            verdicts[line.id] = (kind, *where)
    return verdicts


def _wanted(place: Place) -> list[tuple[str, object]]:
    return [(name, getattr(place, name)) for name in ("surface", "widget", "rank", "device", "recommended")]
