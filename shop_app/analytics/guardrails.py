"""What lists must not do to people: send them to what is sold out, sell what comes back, be empty, slow or unwelcome.

Clicks on sold-out products are judged by the stock at the moment the job counts them, within half a minute of the
click. Returns are credited order lines whose order was refunded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, case, func, select

from shop_app.analytics.alerts import Finding
from shop_app.analytics.intervals import Estimate, wilson
from shop_app.analytics.models import GuardDay, OrderLineCredit
from shop_app.analytics.period import Period, last_days
from shop_app.analytics.queries.cells import counted
from shop_app.analytics.queries.funnel import clicks as clicks_by
from shop_app.catalog.models import Product
from shop_app.core.events import EventKind, Regret
from shop_app.extensions import db, insert_into
from shop_app.orders.models import Order, OrderLine
from shop_app.recsys.queries import Summary, answers, empty_by_day, summary
from shop_app.site_settings.services import keep
from shop_app.site_settings.stored import stored_settings
from shop_app.tracking.models import Complaint, ConsentRecord, TrackedEvent
from shop_app.tracking.services import record_regrets

MARK = "guard_mark"
"""The setting that says up to which event clicks were judged."""
CLICKS_AT_ONCE = 2000
LIMITS = {"sold_out": 0.02, "returned": 0.15, "empty": 0.05, "complained": 0.01}
"""Shares above which somebody should look."""
FEWEST = 50
"""Clicks, lines or answers of two days below which a share says nothing."""
ADVICE = {
    "sold_out": "Does stock reach Recsys (delivery, differences)? A list is older than the stock of its products.",
    "returned": "Look at the products behind these lines: wrong pictures or texts sell once.",
    "empty": "Ask “Why this list?” for this slot. Rules, limits or steering may leave nothing; a fallback would help.",
    "complained": "Open “Why this list?” for this slot and look at what people were shown; then at its newest changes.",
}

Slot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One list in a period. `clicks` are all of its clicks, `lines` the order lines credited to it."""

    slot: Slot
    clicks: int
    sold_out_clicks: int
    lines: int
    returned_lines: int
    answers: Summary
    complaints: int = 0

    @property
    def complained(self) -> Estimate:
        return wilson(self.complaints, max(self.answers.answers, self.complaints))

    @property
    def sold_out(self) -> Estimate:
        return wilson(self.sold_out_clicks, max(self.clicks, self.sold_out_clicks))

    @property
    def returned(self) -> Estimate:
        return wilson(self.returned_lines, self.lines)

    @property
    def empty(self) -> Estimate:
        return wilson(self.answers.empty, self.answers.answers)


def judge_clicks(now: datetime) -> int:
    """Count the clicks on sold-out products since last time and tell Recsys of each; returns how many it saw."""
    stored = stored_settings().get(MARK)
    upto = int(stored.values.get("upto", 0)) if stored else 0
    query = (
        select(TrackedEvent, Product.stock)
        .join(Product, Product.sku == TrackedEvent.item_id)
        .where(TrackedEvent.id > upto, TrackedEvent.type == int(EventKind.CLICK), counted())
        .where(TrackedEvent.widget.is_not(None), TrackedEvent.surface.is_not(None))
        .order_by(TrackedEvent.id)
        .limit(CLICKS_AT_ONCE)
    )
    rows = db.session.execute(query).all()
    in_vain = [click for click, stock in rows if stock == 0]
    record_regrets(in_vain, Regret.SOLD_OUT_CLICK, now)
    found = Counter((click.occurred_at.date(), click.surface, click.widget) for click in in_vain)
    for (day, surface, widget), number in sorted(found.items()):
        values = {"day": day, "surface": surface, "widget": widget, "sold_out_clicks": number}
        statement = insert_into(GuardDay).values(**values)
        more = {"sold_out_clicks": GuardDay.__table__.c.sold_out_clicks + statement.excluded.sold_out_clicks}
        keys = ["day", "surface", "widget"]
        db.session.execute(statement.on_conflict_do_update(index_elements=keys, set_=more))
    if rows:
        keep(MARK, {"upto": rows[-1][0].id}, actor="job", now=now)
    return len(rows)


def guardrails(period: Period) -> list[GuardRow]:
    """Every list that was clicked, sold something or was asked for, most clicks first."""
    clicks = {
        (surface, widget): number for (surface, widget), number in clicks_by(period, ("surface", "widget")).items()
    }
    sold_out, lines = _sold_out(period), _returns(period)
    asked, complaints = answers(period.start, period.end), _complaints(period)
    slots = {*clicks, *sold_out, *lines, *complaints, *(_slot(row.slot) for row in asked)}
    rows = [
        GuardRow(
            slot,
            clicks.get(slot, 0),
            sold_out.get(slot, 0),
            *lines.get(slot, (0, 0)),
            summary([row for row in asked if _slot(row.slot) == slot]),
            complaints.get(slot, 0),
        )
        for slot in slots
        if slot[1]
    ]
    return sorted(rows, key=lambda row: (-row.clicks, row.slot))


def by_day(period: Period) -> Mapping[str, Mapping[date, float]]:
    """The shares of all lists together, for every day that has any: sold_out, returned, empty, complained."""
    clicks = {day: number for (day,), number in clicks_by(period, ("day",)).items()}
    sold_out, complaints = _sold_out_on(period), _complaints_on(period)
    empty = empty_by_day(period.start, period.end)
    sums: dict[str, dict[date, tuple[int, int]]] = {
        "sold_out": {day: (sold_out.get(day, 0), number) for day, number in clicks.items()},
        "returned": _returns_by_day(period),
        "empty": empty,
        "complained": {day: (complaints.get(day, 0), whole) for day, (_, whole) in empty.items()},
    }
    return {
        name: {day: min(part / whole, 1.0) for day, (part, whole) in days.items() if whole}
        for name, days in sums.items()
    }


def consent_taken_back(period: Period) -> int:
    """People who had agreed to personalisation and no longer do."""
    newer = select(ConsentRecord).where(
        ConsentRecord.decided_at >= period.start,
        ConsentRecord.decided_at < period.end,
        ConsentRecord.personalisation.is_(False),
    )
    earlier = newer.subquery()
    before = select(ConsentRecord.shopper_key).where(ConsentRecord.personalisation.is_(True))
    query = select(func.count(func.distinct(earlier.c.shopper_key))).where(earlier.c.shopper_key.in_(before))
    return db.session.scalar(query) or 0


def guardrail_findings(now: datetime) -> list[Finding]:
    """Lists of yesterday and today that are beyond a limit, with the lower end of the interval, not by chance."""
    found = []
    for row in guardrails(last_days(2, now.date())):
        measured = (
            ("sold_out", row.sold_out, row.clicks, "of its clicks go to sold-out products"),
            ("returned", row.returned, row.lines, "of its order lines come back"),
            ("empty", row.empty, row.answers.answers, "of its answers are empty"),
            ("complained", row.complained, row.answers.answers, "of its answers are said to be not for people"),
        )
        for name, share, of, what in measured:
            if of >= FEWEST and share.low is not None and share.low > LIMITS[name]:
                where = ".".join(row.slot)
                title = f"{where}: {share.value or 0:.1%} {what}"
                found.append(Finding("guardrail", f"{where}:{name}", "ticket", title, ADVICE[name], {"of": of}))
    return found


def _complaints(period: Period) -> dict[Slot, int]:
    query = select(Complaint.surface, Complaint.widget, func.count()).where(*_heard(period))
    rows = db.session.execute(query.group_by(Complaint.surface, Complaint.widget))
    return {(surface, widget): int(number) for surface, widget, number in rows}


def _complaints_on(period: Period) -> Counter[date]:
    return Counter(at.date() for at in db.session.scalars(select(Complaint.at).where(*_heard(period))))


def _heard(period: Period) -> "list[ColumnElement[bool]]":
    return [Complaint.at >= period.start, Complaint.at < period.end, Complaint.is_qa.is_(False)]


def _sold_out(period: Period) -> dict[Slot, int]:
    query = select(GuardDay.surface, GuardDay.widget, func.sum(GuardDay.sold_out_clicks)).where(
        GuardDay.day.between(period.first, period.last)
    )
    rows = db.session.execute(query.group_by(GuardDay.surface, GuardDay.widget))
    return {(surface, widget): int(number) for surface, widget, number in rows}


def _sold_out_on(period: Period) -> dict[date, int]:
    query = select(GuardDay.day, func.sum(GuardDay.sold_out_clicks)).where(
        GuardDay.day.between(period.first, period.last)
    )
    return {day: int(number) for day, number in db.session.execute(query.group_by(GuardDay.day))}


def _returns_by_day(period: Period) -> dict[date, tuple[int, int]]:
    refunded = func.sum(case((Order.status == "refunded", 1), else_=0))
    query = (
        select(OrderLineCredit.day, refunded, func.count())
        .join(OrderLine, OrderLine.id == OrderLineCredit.order_line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(OrderLineCredit.day.between(period.first, period.last), OrderLineCredit.surface != "")
    )
    return {day: (int(back or 0), int(n)) for day, back, n in db.session.execute(query.group_by(OrderLineCredit.day))}


def _returns(period: Period) -> dict[Slot, tuple[int, int]]:
    """(credited lines, of them in refunded orders) of each list, by the day of the order."""
    refunded = func.sum(case((Order.status == "refunded", 1), else_=0))
    query = (
        select(OrderLineCredit.surface, OrderLineCredit.widget, func.count(), refunded)
        .join(OrderLine, OrderLine.id == OrderLineCredit.order_line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(OrderLineCredit.day.between(period.first, period.last), OrderLineCredit.surface != "")
        .group_by(OrderLineCredit.surface, OrderLineCredit.widget)
    )
    return {(s, w): (int(lines), int(back or 0)) for s, w, lines, back in db.session.execute(query)}


def _slot(name: str) -> Slot:
    surface, _, widget = name.partition(".")
    return surface, widget


def worst(rows: Sequence[GuardRow]) -> set[tuple[Slot, str]]:
    """(list, measure) pairs beyond a limit: what the page marks."""
    return {
        (row.slot, name)
        for row in rows
        for name in LIMITS
        if (value := getattr(row, name).value) is not None and value > LIMITS[name]
    }
