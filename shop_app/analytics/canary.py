"""Freshness, measured: an event is sent as any other, and the list of the shopper it speaks of must change.

Each probe is a shopper of its own who looks at one product, with a value of 0: nothing is added to popularity, one
event makes no pair, and the event is marked as QA, so that it is in no figure of the console.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from recsys_engine.contract import Context, RecommendRequest
from shop_app.analytics.models import CanaryRun
from shop_app.catalog.models import Product
from shop_app.core.events import EventKind
from shop_app.core.ids import ANONYMOUS_PREFIX, new_token
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysGateway
from shop_app.tracking.models import TrackedEvent

KEY_PREFIX = f"{ANONYMOUS_PREFIX}canary"
SURFACE = "home.recent"
K = 20
PATIENCE_S = 4.0
PAUSE_S = 0.1
KEPT = timedelta(days=30)
FORGOTTEN_AFTER = timedelta(days=1)
MOST_FORGOTTEN = 900
"""Under the contract's thousand a call."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One shopper about to look at one product, and the list they would get before."""

    shopper_key: str
    item_id: str
    before: tuple[str, ...]


def a_probe(gateway: RecsysGateway) -> Probe | None:
    """The next one; products take turns. None while the shop sells nothing. Raises what the gateway raises."""
    on_sale = (Product.status == "active", Product.stock > 0)
    count = db.session.scalar(select(func.count(Product.id)).where(*on_sale)) or 0
    if not count:
        return None
    turn = (db.session.scalar(select(func.max(CanaryRun.id))) or 0) * 7919 % count
    item_id = db.session.scalars(select(Product.sku).where(*on_sale).order_by(Product.id).offset(turn).limit(1)).one()
    key = f"{KEY_PREFIX}{new_token(16)}"
    return Probe(key, item_id, _list(gateway, key))


def send(probe: Probe, now: datetime) -> None:
    """Write the event as the tracker's intake would; the workers carry it."""
    db.session.add(
        TrackedEvent(
            source_event_id=f"canary-{probe.shopper_key.removeprefix(KEY_PREFIX)}",
            type=int(EventKind.VIEW),
            shopper_key=probe.shopper_key,
            item_id=probe.item_id,
            value=0.0,
            occurred_at=now,
            received_at=now,
            is_qa=True,
            delivery="pending",
            next_attempt_at=now,
        )
    )


def watch_list(
    gateway: RecsysGateway,
    probe: Probe,
    *,
    timer: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Ask until the list is another one: changed, unchanged after `PATIENCE_S`, or unreachable."""
    deadline = timer() + PATIENCE_S
    outcome = "unchanged"
    while True:
        try:
            if _list(gateway, probe.shopper_key) != probe.before:
                return "changed"
            outcome = "unchanged"
        except RecsysError:
            outcome = "unreachable"
        if timer() >= deadline:
            return outcome
        pause(PAUSE_S)


def note(probe: Probe, outcome: str, took_s: float, now: datetime) -> None:
    """Write down how it went."""
    lag_ms = round(took_s * 1000) if outcome == "changed" else None
    db.session.add(
        CanaryRun(at=now, probe=probe.shopper_key, item_id=probe.item_id, outcome=outcome, lag_ms=lag_ms, is_kept=True)
    )


def forget_old(gateway: RecsysGateway, now: datetime) -> int:
    """Once a day the recommender forgets yesterday's probes; rows of last month go. Returns how many were forgotten."""
    old = (CanaryRun.is_kept.is_(True), CanaryRun.at < now - FORGOTTEN_AFTER)
    oldest = db.session.scalar(select(func.min(CanaryRun.at)).where(*old))
    if oldest is None or oldest > now - 2 * FORGOTTEN_AFTER:
        return 0
    runs = db.session.scalars(select(CanaryRun).where(*old).order_by(CanaryRun.id).limit(MOST_FORGOTTEN)).all()
    keys = [run.probe for run in runs]
    gateway.forget_users(keys)
    for run in runs:
        run.is_kept = False
    db.session.execute(delete(TrackedEvent).where(TrackedEvent.shopper_key.in_(keys), TrackedEvent.is_qa.is_(True)))
    db.session.execute(delete(CanaryRun).where(CanaryRun.at < now - KEPT, CanaryRun.is_kept.is_(False)))
    return len(keys)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How soon lists follow what people do. Times in ms; `missed` are probes whose list did not change."""

    runs: Sequence[CanaryRun]
    median_ms: int | None
    worst_ms: int | None
    missed: int

    @property
    def last(self) -> CanaryRun | None:
        return self.runs[-1] if self.runs else None


def freshness(since: datetime) -> Freshness:
    """Every probe since then, oldest first."""
    runs = db.session.scalars(select(CanaryRun).where(CanaryRun.at >= since).order_by(CanaryRun.id)).all()
    lags = sorted(run.lag_ms for run in runs if run.lag_ms is not None)
    median = lags[len(lags) // 2] if lags else None
    return Freshness(runs, median, lags[-1] if lags else None, sum(run.lag_ms is None for run in runs))


def _list(gateway: RecsysGateway, shopper_key: str) -> tuple[str, ...]:
    answer = gateway.recommend(RecommendRequest(user_id=shopper_key, k=K, context=Context(surface=SURFACE)))
    return tuple(item.item_id for item in answer.items)
