"""How the console writes numbers, money and moments: the template filters of its pages."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shop_app.analytics.intervals import Estimate
from shop_app.core.events import EventKind
from shop_app.core.money import Money
from shop_app.experiments.statistics.srm import SegmentSplit
from shop_app.sync.payloads import REGRET_TYPES

NOTHING = "–"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell (OWASP, CSV injection)."""


def thousands(value: float | None) -> str:
    """`12,345`."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent, with more digits when it is small."""
    if value is None:
        return NOTHING
    return f"{value * 100:.{digits + 1 if 0 < value < 0.1 else digits}f} %"


def money(minor: float | None, currency: str) -> str:
    """Minor units, rounded to the nearest."""
    return NOTHING if minor is None else Money(round(minor), currency).text()


def money_short(minor: float | None, currency: str) -> str:
    """The same, rounded to whole units from 100 units on and for nothing: for ranges and axes."""
    if minor is None:
        return NOTHING
    digits = Money(0, currency).digits
    if minor != 0 and abs(minor) < 100 * 10**digits:
        return money(minor, currency)
    text = Money(int(round(minor, -digits)), currency).text()
    return text.replace("." + "0" * digits, "") if digits else text


def percent_short(value: float) -> str:
    """`40 %`, `2.5 %`: a round share on an axis."""
    return f"{round(value * 100, 4):g} %"


def percent_range(estimate: Estimate) -> str:
    """`1.90–2.30 %`, empty without an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    digits = 2 if estimate.high < 0.1 else 1
    return f"{estimate.low * 100:.{digits}f}–{estimate.high * 100:.{digits}f} %"


def money_range(estimate: Estimate, currency: str) -> str:
    """`£1.20–£3.40`, empty without an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{money_short(estimate.low, currency)}–{money_short(estimate.high, currency)}"


def change(now: float | None, before: float | None) -> str:
    """`+12.3 %` against before; empty when there is nothing to compare with."""
    if now is None or not before:
        return ""
    difference = (now - before) / before
    return f"{'+' if difference >= 0 else '−'}{abs(difference) * 100:.1f} %"


def moment(at: datetime | None) -> str:
    """`2 Mar 2026, 10:00:07` in UTC."""
    if at is None:
        return NOTHING
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M:%S}"


def duration(span: timedelta | None) -> str:
    """`3 min`, `2 h 5 min`, `4 d`."""
    if span is None:
        return NOTHING
    seconds = max(0, int(span.total_seconds()))
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d"


def event_name(kind: int) -> str:
    """`view`, `click`, … or the number of a kind nobody named."""
    if kind in set(EventKind):
        return EventKind(kind).name.lower()
    return next(
        (regret.replace("_", " ") for regret, one in REGRET_TYPES.items() if regret and one == kind), f"type {kind}"
    )


def plainly(value: object) -> str:
    """A stored value as a person reads it: lists and fields with commas, what is deeper as JSON, nothing as a dash."""
    if value is None or value in ("", (), []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value))
    if isinstance(value, dict) and all(isinstance(one, str | int | float | None) for one in value.values()):
        return ", ".join(f"{name}: {plainly(one)}" for name, one in value.items())
    return str(value) if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False, default=str)


def safe_cell(value: object) -> str:
    """A CSV cell that no spreadsheet runs as a formula: a leading apostrophe shows it as text. Numbers stay numbers."""
    text = "" if value is None else str(value)
    if isinstance(value, int | float) or not text.startswith(FORMULA_STARTS):
        return text
    return f"'{text}"


def reason(text: str) -> str:
    """Why an item stands in a list, without the ids of rules: `rule: boost +0.50`, `recent popularity`."""
    return re.sub(r"\[[^\]]*\]", "", text).replace("rule.", "rule: ").replace(":+", " +").replace("_", " ").strip()


def p_value(value: float) -> str:
    """Three digits; what is smaller is not nought."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def score(value: float, sign: str = "") -> str:
    """Four decimals; what is smaller keeps two digits that say something: `0.000018`. `sign="+"` writes a plus too."""
    decimals = 4 if value == 0 or abs(value) >= 0.001 else 1 - math.floor(math.log10(abs(value)))
    return f"{value:{sign}.{decimals}f}"


SEGMENTS = {"day": "First seen on", "device": "Device:", "landing": "Visit began on"}


def segment(split: SegmentSplit) -> str:
    """Which shoppers a part of an experiment's split holds, in words."""
    value = split.value
    if split.dimension == "day":
        day = date.fromisoformat(value)
        value = f"{day.day} {day:%B}"
    return f"{SEGMENTS[split.dimension]} {value}"


FILTERS: dict[str, Callable[..., Any]] = {
    "thousands": thousands,
    "percent": percent,
    "money_minor": money,
    "percent_range": percent_range,
    "money_range": money_range,
    "change": change,
    "moment": moment,
    "duration": duration,
    "event_name": event_name,
    "plainly": plainly,
    "segment": segment,
    "p_value": p_value,
    "score": score,
    "reason": reason,
}
