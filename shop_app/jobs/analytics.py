"""Keeping the console's sums and credits up to date."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shop_app.analytics.alerts import (
    Finding,
    books_findings,
    delivery_findings,
    freshness_findings,
    settle,
    stream_findings,
)
from shop_app.analytics.guardrails import guardrail_findings, judge_clicks
from shop_app.analytics.levels import level_findings
from shop_app.analytics.services import credit_order_lines, roll_days
from shop_app.analytics.streams import ratio_findings, silence_findings
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.privacy.services import privacy_findings

LOOKS: Mapping[str, Callable[[datetime], Sequence[Finding]]] = {
    "delivery": delivery_findings,
    "books": books_findings,
    "stream": stream_findings,
    "ratio": ratio_findings,
    "silence": silence_findings,
    "levels": level_findings,
    "freshness": freshness_findings,
    "guardrail": guardrail_findings,
    "privacy": privacy_findings,
}
"""Who looks for what kind of finding."""


@job
def summarise() -> dict[str, Any]:
    """Judge new order lines and rewrite the sums of days that changed; a long history takes several runs."""
    now = handle("clock").now()
    with unit_of_work(db.session):
        lines = credit_order_lines(now)
    with unit_of_work(db.session):
        days = roll_days(now, max_days=7)
    with unit_of_work(db.session):
        clicks = judge_clicks(now)
    return {"clicks_judged": clicks, "lines_credited": lines, "days_rolled": days}


@job
def watch() -> dict[str, Any]:
    """Look for trouble; open an alert for each cause and close those whose cause is gone."""
    now = handle("clock").now()
    findings = [finding for look in LOOKS.values() for finding in look(now)]
    with unit_of_work(db.session):
        opened, closed = settle(findings, tuple(LOOKS), now)
    return {"opened": opened, "closed": closed}
