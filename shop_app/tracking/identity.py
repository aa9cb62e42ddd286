"""Who is behind this request: anonymous key, session and consent in one signed cookie, none guessed by JavaScript."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app, g, request, session
from flask_login import current_user

from shop_app.core.ids import new_anonymous_key, new_token
from shop_app.core.shopper import Consent, Shopper

SESSION_IDLE = timedelta(minutes=30)
SESSION_MAX = timedelta(hours=24)
SEEN_STEP = timedelta(minutes=1)
"""How exact the idle time is: within a step no new cookie is signed, so that fragments of one page stay cheap."""
BOT_WORDS = ("bot", "crawl", "spider", "slurp", "preview", "curl/", "python-requests", "wget")


@dataclass(frozen=True, slots=True)
class _Visit:
    session_id: str
    started_at: float
    seen_at: float


def current_shopper() -> Shopper:
    """The person behind this request; the same value all through it."""
    if "shopper" not in g:
        g.shopper = _identify(current_app.extensions["clock"].now())
    shopper: Shopper = g.shopper
    return shopper


def remember_consent(consent: Consent) -> None:
    """Put the person's choice into the cookie; the next `current_shopper` knows it."""
    session["consent"] = [consent.analytics, consent.personalisation]
    g.pop("shopper", None)


def start_new_person() -> None:
    """After signing out: nothing ties the next visitor of this browser to the last. The consent choice stays."""
    consent = session.get("consent")
    session.clear()
    if consent is not None:
        session["consent"] = consent
    g.pop("shopper", None)


def _identify(now: datetime) -> Shopper:
    visit = _visit(now)
    member = current_user if current_user.is_authenticated else None
    if "anonymous" not in session:
        session["anonymous"] = new_anonymous_key()
    return Shopper(
        key=member.key if member else session["anonymous"],
        session_id=visit.session_id,
        user_id=member.id if member else None,
        consent=_consent(session.get("consent")),
        is_bot=_is_bot(request.user_agent.string),
        device=_device(request.user_agent.string),
        is_qa=bool(current_app.config["QA_MODE"]) and "X-QA-Run" in request.headers,
    )


def _visit(now: datetime) -> _Visit:
    stamp = now.timestamp()
    known = session.get("visit")
    if isinstance(known, list) and len(known) == 3:
        visit = _Visit(*known)
        is_idle = stamp - visit.seen_at > SESSION_IDLE.total_seconds()
        is_old = stamp - visit.started_at > SESSION_MAX.total_seconds()
        if not is_idle and not is_old:
            if stamp - visit.seen_at > SEEN_STEP.total_seconds():
                session["visit"] = [visit.session_id, visit.started_at, stamp]
            return visit
    session["visit"] = ["s_" + new_token(), stamp, stamp]
    return _Visit(*session["visit"])


def _consent(choice: Any) -> Consent:
    if request.headers.get("Sec-GPC") == "1":
        return Consent(is_decided=True)
    if isinstance(choice, list) and len(choice) == 2:
        return Consent(analytics=bool(choice[0]), personalisation=bool(choice[1]), is_decided=True)
    return Consent()


def _is_bot(user_agent: str) -> bool:
    lowered = user_agent.lower()
    return not lowered or any(word in lowered for word in BOT_WORDS)


def _device(user_agent: str) -> str:
    """What browsers say themselves: iPads and Androids without "Mobile" are tablets."""
    lowered = user_agent.lower()
    if "ipad" in lowered or ("android" in lowered and "mobile" not in lowered):
        return "tablet"
    return "phone" if "mobi" in lowered or "iphone" in lowered else "desktop"
