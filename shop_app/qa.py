"""Doors for test runs, present in QA mode only: what arrived at Recsys, deliver now, travel in time, break things."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Flask, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, select

from recsys_engine.contract import DeleteFilter, Event, PageQuery, Recommendations, SimilarItems
from shop_app.core.errors import InvalidInput
from shop_app.core.ids import new_token
from shop_app.core.shopper import Consent
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import csrf, db, handle
from shop_app.jobs.metering import write_counts
from shop_app.jobs.shell import carrier
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.services import drain
from shop_app.tracking.identity import current_shopper, remember_consent
from shop_app.tracking.models import TrackedEvent

bp = Blueprint("qa", __name__, url_prefix="/__qa__")

MODES = ("normal", "slow", "failed", "empty")
READS = ("recommend", "rerank", "similar")
WRITES = ("send_events", "upsert_items", "upsert_users")
SLOW_S = 2.0
"""Far beyond the deadline of any widget."""
KEPT_REFUSALS = 1000


class QaGateway:
    """A gateway that can be told to be slow, to fail, or to know nothing: reads and writes apart."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.reads = "normal"
        self.writes = "normal"

    @property
    def is_instant(self) -> bool:
        """Whether a caller may do without a deadline; never while reads are disturbed."""
        return self.reads == "normal" and bool(getattr(self.inner, "is_instant", False))

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.inner, name)
        mode = self.reads if name in READS else self.writes if name in WRITES else "normal"
        return verb if mode == "normal" else _disturbed(name, verb, mode)


def _disturbed(name: str, verb: Callable[..., Any], mode: str) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if mode == "failed":
            raise RecsysUnavailable("switched off by QA")
        if mode == "slow":
            time.sleep(SLOW_S)
            return verb(*args, **kwargs)
        kind = SimilarItems if name == "similar" else Recommendations
        empty = {"items": ()} if name == "similar" else {"items": (), "model_version": "qa-empty"}
        return kind(request_id=f"qa-{new_token(8)}", **empty)

    return run


def register(app: Flask) -> None:
    """Open the doors of `app` and put the switchable gateway in front of its own."""
    app.extensions["recsys"] = QaGateway(app.extensions["recsys"])
    app.extensions["refused_events"] = deque(maxlen=KEPT_REFUSALS)
    csrf.exempt(bp)
    app.register_blueprint(bp)


@bp.get("/events/good")
def good_events() -> ResponseReturnValue:
    """Every event that is at Recsys, oldest first; with `?since=` those dated from that moment on."""
    events = sorted(_events_at_recsys(_since()), key=lambda e: (e.ts, e.source_event_id))
    return jsonify([_arrived(event) for event in events])


@bp.get("/events/bad")
def bad_events() -> ResponseReturnValue:
    """What the shop refused from a browser, and what Recsys refused from the shop."""
    dead = db.session.scalars(select(TrackedEvent).where(TrackedEvent.delivery == "dead").order_by(TrackedEvent.id))
    refused = handle("refused_events")
    return jsonify(
        [{"by": "shop", "id": bad.event_id, "code": bad.code, "path": bad.path} for bad in refused]
        + [_logged(row) | {"by": "recsys", "code": row.error_code, "path": row.error_path} for row in dead]
    )


@bp.get("/events/all")
def all_events() -> ResponseReturnValue:
    """Every event in the shop's own log, in the order it was written; with `?since=` those dated from then on."""
    rows = select(TrackedEvent).order_by(TrackedEvent.id)
    if since := _since():
        rows = rows.where(TrackedEvent.occurred_at >= since)
    return jsonify([_logged(row) for row in db.session.scalars(rows)])


@bp.post("/events/reset")
def reset_events() -> ResponseReturnValue:
    """Forget every event, here and at Recsys."""
    with unit_of_work(db.session):
        db.session.execute(delete(TrackedEvent))
    handle("refused_events").clear()
    handle("answers").clear()
    handle("recsys").delete_events(DeleteFilter(confirm_all=True))
    return jsonify(status="ok")


@bp.post("/drain")
def drain_now() -> ResponseReturnValue:
    """Deliver everything that waits, postponed or not; answers with counts per stream. Writes what was counted, too."""
    totals = drain(carrier(), ignore_waiting=True)
    write_counts()
    return jsonify(
        {name: {"delivered": p.delivered, "refused": p.refused, "left": p.left} for name, p in totals.items()}
    )


@bp.post("/session")
def open_session() -> ResponseReturnValue:
    """A visit whose person has chosen: `{"analytics": false}` or `{"personalisation": false}` say no to one of them."""
    body = _body()
    choice = Consent(
        analytics=bool(body.get("analytics", True)),
        personalisation=bool(body.get("personalisation", True)),
        is_decided=True,
    )
    remember_consent(choice)
    return jsonify(shopper=current_shopper().key, session=current_shopper().session_id)


@bp.get("/clock")
def read_clock() -> ResponseReturnValue:
    """The shop's time."""
    return jsonify(now=handle("clock").now().isoformat())


@bp.post("/clock")
def move_clock() -> ResponseReturnValue:
    """`{"advance_s": 3600}` moves the shop's time on, `{"at": "…"}` sets it, `{"reset": true}` gives up pretending."""
    clock, body = handle("clock"), _body()
    if not hasattr(clock, "offset"):
        raise InvalidInput({"clock": ["this shop runs on a clock of its own"]})
    if body.get("reset"):
        clock.offset = timedelta(0)
    elif "at" in body:
        clock.offset += datetime.fromisoformat(str(body["at"])) - clock.now()
    else:
        clock.offset += timedelta(seconds=float(body.get("advance_s", 0)))
    return read_clock()


@bp.post("/recsys")
def switch_recsys() -> ResponseReturnValue:
    """`{"mode": "slow"}` disturbs what widgets ask, `{"writes": "failed"}` what is sent.

    Remembered lists are forgotten, unless `{"remembered": true}` is said: a test sees the mode, not what came before.
    """
    body, gateway = _body(), handle("recsys")
    wanted = {"reads": body.get("mode", gateway.reads), "writes": body.get("writes", gateway.writes)}
    unknown = [mode for mode in wanted.values() if mode not in MODES]
    if unknown or wanted["writes"] == "empty":
        raise InvalidInput({"mode": [f"must be one of {', '.join(MODES)}"]})
    gateway.reads, gateway.writes = wanted["reads"], wanted["writes"]
    if not body.get("remembered"):
        handle("answers").clear()
    return jsonify(wanted)


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict) and request.content_length:
        raise InvalidInput({"body": ["must be a JSON object, sent as Content-Type: application/json"]})
    return body if isinstance(body, dict) else {}


def _since() -> datetime | None:
    if "since" not in request.args:
        return None
    with suppress(ValueError):
        since = datetime.fromisoformat(request.args["since"])
        if since.tzinfo:
            return since
    raise InvalidInput({"since": ["must be a time with its zone, such as 2026-03-01T10:00:00Z"]})


def _events_at_recsys(since: datetime | None) -> Iterator[Event]:
    cursor: str | None = None
    offset = 0
    after = since - timedelta(seconds=1) if since else None  # whatever `after` makes of an equal time
    while True:
        query = PageQuery(limit=1000, offset=offset, cursor=cursor, created_after=after)
        page = handle("recsys").list_events(query)
        yield from (event for event in page.rows if not since or (event.ts and event.ts >= since))
        if not page.has_more:
            return
        cursor, offset = page.next_cursor, page.next_offset or 0


def _arrived(event: Event) -> dict[str, Any]:
    meta = dict(event.meta)
    return {
        "id": event.source_event_id,
        "type": event.type,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "value": event.value,
        "ts": event.ts.isoformat() if event.ts else None,
        **{name: meta.get(name) for name in ("surface", "widget", "rank", "request_id", "recommended", "kind")},
        "meta": meta,
    }


def _logged(row: TrackedEvent) -> dict[str, Any]:
    return {
        "id": row.source_event_id,
        "type": row.type,
        "user_id": row.shopper_key,
        "session_id": row.session_id,
        "item_id": row.item_id,
        "value": row.value,
        "ts": row.occurred_at.isoformat(),
        "surface": row.surface,
        "widget": row.widget,
        "rank": row.rank,
        "request_id": row.request_id,
        "recommended": row.recommended,
        "kind": row.meta.get("kind"),
        "meta": row.meta,
        "delivery": row.delivery,
        "attempts": row.attempts,
    }
