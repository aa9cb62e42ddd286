"""Who is behind this request: anonymous key, session and consent in one signed cookie, none guessed by JavaScript.

Somebody who did not agree to be counted has no key and no visit in their cookie until they put something into a basket
or onto a wishlist; then the cookie says which one is theirs, and ends with the browser.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flask import after_this_request, current_app, g, request, session
from flask_login import current_user
from werkzeug.wrappers import Response

from shop_app.core.ids import new_anonymous_key, new_token
from shop_app.core.shopper import Consent, Shopper
from shop_app.extensions import cookie, drop_cookie, keep_cookie

SESSION_IDLE = timedelta(minutes=30)
SESSION_MAX = timedelta(hours=24)
SEEN_STEP = timedelta(minutes=1)
"""How exact the idle time is: within a step no new cookie is signed, so that fragments of one page stay cheap."""
REFUSED = "refused"
"""The cookie of somebody who said no: the same for everybody, so that asking ends and nobody is known by it."""
REFUSED_AGE_S = 180 * 24 * 3600
BROWSERS_KEPT = 1000
"""What that many browsers call themselves is not looked at twice."""
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


def keep_person() -> None:
    """Let the cookie say who this is from now on: something is stored under the key, and must be found again."""
    shopper = current_shopper()
    if not shopper.is_member:
        session["anonymous"] = shopper.key


def remember_consent(consent: Consent) -> None:
    """Put the person's choice into the cookie; the next `current_shopper` knows it.

    A yes is kept as long as the cookie lives, with the person it is about. A no makes the cookie end with the browser,
    unless it holds a sign-in.
    """
    if consent.is_given:
        keep_person()
    else:
        session.pop("visit", None)
    session["consent"] = [consent.analytics, consent.personalisation]
    _live_as_allowed(consent)
    g.pop("shopper", None)


def chosen_here() -> Consent:
    """What was chosen in this browser, whatever the headers of this request add."""
    kept = _chosen(session.get("consent"))
    return Consent(is_decided=True) if not kept.is_decided and cookie(REFUSED) is not None else kept


def start_new_person() -> None:
    """After signing out: nothing ties the next visitor of this browser to the last. The consent choice stays."""
    kept = session.get("consent")
    session.clear()
    if kept is not None:
        session["consent"] = kept
        _live_as_allowed(_chosen(kept))
    g.pop("shopper", None)


def _live_as_allowed(consent: Consent) -> None:
    session.permanent = consent.is_given or current_user.is_authenticated

    @after_this_request
    def _note_refusal(response: Response) -> Response:
        if consent.is_given or not consent.is_decided:
            drop_cookie(response, REFUSED)
        else:
            keep_cookie(response, REFUSED, "yes", REFUSED_AGE_S)
        return response


def _identify(now: datetime) -> Shopper:
    consent = Consent(is_decided=True) if request.headers.get("Sec-GPC") == "1" else chosen_here()
    member = current_user if current_user.is_authenticated else None
    if consent.is_given and not member and "anonymous" not in session:
        session["anonymous"] = new_anonymous_key()
    return Shopper(
        key=member.key if member else session.get("anonymous") or new_anonymous_key(),
        session_id=_visit(now).session_id if consent.is_given else "s_" + new_token(),
        user_id=member.id if member else None,
        consent=consent,
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


def _chosen(choice: Any) -> Consent:
    if isinstance(choice, list) and len(choice) == 2:
        return Consent(analytics=bool(choice[0]), personalisation=bool(choice[1]), is_decided=True)
    return Consent()


@lru_cache(BROWSERS_KEPT)
def _is_bot(user_agent: str) -> bool:
    lowered = user_agent.lower()
    return not lowered or any(word in lowered for word in BOT_WORDS)


@lru_cache(BROWSERS_KEPT)
def _device(user_agent: str) -> str:
    """What browsers say themselves: iPads and Androids without "Mobile" are tablets."""
    lowered = user_agent.lower()
    if "ipad" in lowered or ("android" in lowered and "mobile" not in lowered):
        return "tablet"
    return "phone" if "mobi" in lowered or "iphone" in lowered else "desktop"
