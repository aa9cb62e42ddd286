"""Alerts: rows that somebody can take on. One open row per cause; it closes by itself when the cause is gone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from shop_app.analytics.canary import freshness
from shop_app.analytics.models import Alert
from shop_app.analytics.monitoring.watch import StreamWatch
from shop_app.analytics.period import Period
from shop_app.analytics.queries.hours import watched_hours
from shop_app.analytics.queries.proof import Difference, proof
from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

LONGEST_WAIT = timedelta(minutes=10)
"""An event that waits longer means that nobody delivers."""
KEPT = timedelta(days=30)
MISSED_IN_A_ROW = 3
FRESHNESS_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong now. `kind` and `subject` name the cause, `advice` says what a person should do first."""

    kind: str
    subject: str
    severity: str
    title: str
    advice: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return f"{self.kind}:{self.subject}"[:200]


def settle(findings: Sequence[Finding], kinds: Collection[str], now: datetime) -> tuple[int, int]:
    """Open or refresh a row per finding, close open rows of `kinds` without one; returns (opened, closed)."""
    query = select(Alert).where(Alert.closed_at.is_(None), Alert.kind.in_(kinds))
    known = {alert.fingerprint: alert for alert in db.session.scalars(query)}
    current = {finding.fingerprint: finding for finding in findings}
    for fingerprint, finding in current.items():
        if fingerprint in known:
            known[fingerprint].last_seen_at, known[fingerprint].title = now, finding.title
            known[fingerprint].details = finding.details
        else:
            db.session.add(_row(finding, now))
    gone = [alert for fingerprint, alert in known.items() if fingerprint not in current]
    for alert in gone:
        alert.closed_at = now
    return len(current.keys() - known.keys()), len(gone)


def acknowledge(alert_id: int, actor: str, now: datetime) -> Alert:
    """Somebody takes it on; the first one stands.

    Raises:
        NotFound: there is no such alert.

    """
    alert = db.session.get(Alert, alert_id)
    if alert is None:
        raise NotFound("There is no such alert.")
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = now, actor
    return alert


def delivery_findings(now: datetime) -> list[Finding]:
    """Is what the shop noticed on its way to Recsys?"""
    oldest = db.session.scalar(select(func.min(TrackedEvent.received_at)).where(TrackedEvent.delivery == "pending"))
    dead = db.session.scalar(select(func.count()).where(TrackedEvent.delivery == "dead")) or 0
    found = []
    if oldest is not None and now - oldest > LONGEST_WAIT:
        waited = now - oldest
        long = waited >= timedelta(hours=2)
        text = f"{waited // timedelta(hours=1)} hours" if long else f"{waited // timedelta(minutes=1)} minutes"
        advice = "Is a worker running, and does Recsys answer? Nothing is lost: delivery goes on where it stopped."
        found.append(Finding("delivery", "waiting", "page", f"Events wait for {text}", advice))
    if dead:
        advice = "Look at the code and the field, mend the cause, then send them again."
        found.append(Finding("delivery", "dead", "ticket", f"{dead} events were refused by Recsys", advice))
    return found


def books_findings(now: datetime) -> list[Finding]:
    """Do orders, credits and purchase events of yesterday and today agree?"""
    period = Period(now.date() - timedelta(days=1), now.date())
    advice = "Open the attribution page: each difference is listed with its order and line."
    return [
        Finding("books", f"{one.order_number}:{one.position}:{one.kind}", "ticket", _line(one), advice)
        for one in proof(period).differences
    ]


def _line(difference: Difference) -> str:
    return f"{difference.order_number}: {difference.text}"[:200]


def stream_findings(now: datetime) -> list[Finding]:
    """Does the last complete hour look like such an hour?"""
    watched = watched_hours(now)
    return [
        Finding(
            "stream",
            f"{one.fault}:{one.subject}",
            "ticket",
            f"{one.subject}: {one.fault.replace('_', ' ')} ({one.detail})"[:200],
            one.advice,
            {"hour": one.at.isoformat()},
        )
        for one in StreamWatch(watched.history).judge(watched.hour, watched.before)
    ]


def freshness_findings(now: datetime) -> list[Finding]:
    """Did the last three probes of the canary change a list? Fewer say nothing yet."""
    runs = freshness(now - FRESHNESS_WINDOW).runs[-MISSED_IN_A_ROW:]
    if len(runs) < MISSED_IN_A_ROW or any(run.outcome == "changed" for run in runs):
        return []
    title = f"Lists do not follow events: the last {MISSED_IN_A_ROW} probes were {runs[-1].outcome}"
    advice = "Is Recsys up (see delivery), and does its event tail move? Lists are shown, but learn nothing meanwhile."
    return [Finding("freshness", "missed", "page", title, advice, {"items": [run.item_id for run in runs]})]


def alerts(now: datetime) -> list[Alert]:
    """Open ones first, newest first; closed ones of the last 30 days after them."""
    query = select(Alert).where(Alert.closed_at.is_(None) | (Alert.closed_at > now - KEPT))
    return list(db.session.scalars(query.order_by(Alert.closed_at.is_not(None), Alert.opened_at.desc(), Alert.id)))


def open_alerts() -> int:
    """How many nobody has taken on."""
    query = select(func.count(Alert.id)).where(Alert.closed_at.is_(None), Alert.acknowledged_at.is_(None))
    return db.session.scalar(query) or 0


def _row(finding: Finding, now: datetime) -> Alert:
    return Alert(
        fingerprint=finding.fingerprint,
        kind=finding.kind,
        severity=finding.severity,
        title=finding.title,
        advice=finding.advice,
        details=finding.details,
        opened_at=now,
        last_seen_at=now,
    )
