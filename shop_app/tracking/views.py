"""The beacon browsers report to, and the consent page."""

import json
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from shop_app.core.errors import Forbidden, InvalidInput
from shop_app.core.shopper import Consent
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import csrf, db, handle, limiter
from shop_app.tracking import consent
from shop_app.tracking.identity import current_shopper, remember_consent
from shop_app.tracking.intake import GroupIntake
from shop_app.tracking.pressure import Pressure
from shop_app.tracking.schemas import MAX_BODY_BYTES, MAX_EPOCH_MS, MAX_EVENTS, Refusal, judge
from shop_app.tracking.services import BrowserEvent, record_browser_events, store_together

bp = Blueprint("tracking", __name__)
bp.record_once(lambda state: state.app.extensions.setdefault("pressure", Pressure()))
bp.record_once(lambda state: state.app.extensions.setdefault("intake", GroupIntake(store_together)))
log = logging.getLogger(__name__)

EVENT_RATE = "1200 per minute"
"""Requests of one address: a busy office behind one router stays below it."""
RETRY_AFTER_S = 30
"""How long a browser keeps its impressions while the log is full."""
CHOICES = {"all": Consent(analytics=True, personalisation=True, is_decided=True), "essential": Consent(is_decided=True)}


@bp.app_context_processor
def _words() -> dict[str, Any]:
    """What the banner asks: the words that are hashed into every record."""
    return {"consent_words": consent}


@bp.post("/t/events")
@csrf.exempt  # type: ignore[untyped-decorator]  # a beacon cannot carry a token; the origin is checked instead
@limiter.limit(EVENT_RATE)
def take_events() -> tuple[Response, int]:
    """Judge each event of `{sent_at, events: […]}` alone and store the good ones; 202 with one result per event."""
    _require_same_origin()
    sent_ms, raw_events = _parse_body()
    now = handle("clock").now()
    shopper = current_shopper()
    if not shopper.consent.analytics:
        verdicts: list[BrowserEvent | Refusal] = [Refusal(_id_of(raw), "no_consent", "") for raw in raw_events]
    else:
        verdicts = [judge(raw) for raw in raw_events]
    is_full = handle("pressure").is_high(time.monotonic())
    good = [verdict for verdict in verdicts if isinstance(verdict, BrowserEvent) and not (is_full and verdict.is_shed)]
    new_ids = record_browser_events(good, shopper, sent_ms=sent_ms, received_at=now)
    response = _answer(verdicts, new_ids, is_full=is_full)
    if is_full and len(good) < len(verdicts):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response, 429
    return response, 202


@bp.get("/consent")
def consent_page() -> str:
    """What is asked, what was chosen, and a way to change it."""
    is_refused = request.headers.get("Sec-GPC") == "1"
    return render_template("tracking/consent.html", purposes=consent.PURPOSES, next_path=_next_path(), gpc=is_refused)


@bp.post("/consent")
def choose_consent() -> BaseResponse:
    """Keep the choice: everything, the essential only, or purpose by purpose."""
    choice = CHOICES.get(request.form.get("choice", "")) or Consent(
        analytics="analytics" in request.form, personalisation="personalisation" in request.form, is_decided=True
    )
    with unit_of_work(db.session):
        consent.record_consent(current_shopper().key, choice, handle("clock").now())
    remember_consent(choice)
    return redirect(_next_path(), code=303)


def _require_same_origin() -> None:
    """A browser says where a request comes from; a page of another site may not report into ours."""
    site = request.headers.get("Sec-Fetch-Site")
    source = request.headers.get("Origin") or request.headers.get("Referer") or ""
    is_ours = urlsplit(source).netloc == request.host
    if (site and site != "same-origin") or not is_ours:
        raise Forbidden("events are taken from our own pages only")


def _parse_body() -> tuple[int, list[Any]]:
    """The body's send time and events. The content type is not looked at: a beacon can only send text."""
    request.max_content_length = MAX_BODY_BYTES
    try:
        body = json.loads(request.get_data())
        sent_ms, events = body["sent_at"], body["events"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput({"body": ["must be JSON with sent_at and events"]}) from error
    if not isinstance(sent_ms, int) or not 0 <= sent_ms <= MAX_EPOCH_MS:
        raise InvalidInput({"sent_at": ["must be milliseconds since 1970"]})
    if not isinstance(events, list) or len(events) > MAX_EVENTS:
        raise InvalidInput({"events": [f"must be a list of at most {MAX_EVENTS}"]})
    return sent_ms, events


def _answer(verdicts: list[BrowserEvent | Refusal], new_ids: set[str], *, is_full: bool) -> Response:
    """One result per event, in the order they came. An id met twice in one body counts once."""
    results: list[dict[str, Any]] = []
    refusals = []
    for verdict in verdicts:
        if isinstance(verdict, Refusal):
            refusals.append(verdict)
            results.append({"id": verdict.event_id, "status": "rejected", "code": verdict.code, "path": verdict.path})
        elif is_full and verdict.is_shed:
            results.append({"id": verdict.event_id, "status": "deferred"})
        else:
            is_new = verdict.event_id in new_ids
            new_ids.discard(verdict.event_id)
            results.append({"id": verdict.event_id, "status": "accepted" if is_new else "duplicate"})
    _note(refusals)
    return jsonify(results=results)


def _note(refusals: list[Refusal]) -> None:
    if refusals:
        codes = sorted({f"{refusal.code}:{refusal.path}" for refusal in refusals})
        log.info("browser_events_refused", extra={"count": len(refusals), "codes": codes})
    kept = current_app.extensions.get("refused_events")  # QA mode only
    if kept is not None:
        kept.extend(refusals)


def _id_of(raw: Any) -> str | None:
    given = raw.get("id") if isinstance(raw, dict) else None
    return given if isinstance(given, str) else None


def _next_path() -> str:
    """Where to go after choosing: a path of ours, never another site."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if is_ours else url_for("catalog.home")
