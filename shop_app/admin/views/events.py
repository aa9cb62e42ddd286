"""Events with their delivery, and one answer followed from the list to the order."""

from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from flask import request

from recsys_engine.contract.control import REPLAY_REASONS, AuditQuery
from shop_app.admin.queries import events as found
from shop_app.admin.views.base import bp, gateway, page
from shop_app.core.events import EventKind
from shop_app.recsys.gateway import RecsysError


@bp.get("/events")
def events() -> str:
    """The log, newest first; the address holds the filter."""
    before = request.args.get("before", "")
    wanted = {name: request.args.get(name, "") for name in (*found.TEXT_FILTERS, "type", "people")}
    shown = found.events(wanted, int(before) if before.isascii() and before.isdigit() else None)
    return page("admin/events.html", shown=shown, wanted=wanted, kinds=list(EventKind))


@bp.get("/events/<int:event_id>")
def event(event_id: int) -> str:
    """Everything about one event."""
    return page("admin/event.html", event=found.event(event_id), errors={})


@bp.get("/answers/<request_id>")
def answer(request_id: str) -> str:
    """One list: what was seen, clicked, put in the basket and bought, and whether Recsys knows."""
    items = found.answer_items(request_id)
    first = min((e for item in items for e in item.events), key=lambda e: e.occurred_at, default=None)
    wanted = request.args.get("again") == "1"
    made, problem = _made_again(request_id) if wanted else (None, "")
    return page("admin/answer.html", request_id=request_id, items=items, first=first, made=made, problem=problem)


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """A list as it was stored and as the recommender makes it now from its log; `places` are (rank, then, now)."""

    status: str
    reason: str
    at: datetime
    places: tuple[tuple[int, str, str], ...]


def _made_again(request_id: str) -> tuple[MadeAgain | None, str]:
    """The list made again by the recommender, or why it cannot be."""
    try:
        control = gateway().control
        stored = control.find_decisions(AuditQuery(request_id=request_id, limit=1))
        if not stored:
            return None, "Recsys keeps no list of this id: erased, too old, or the shop's own fallback."
        replay = control.replay(stored[0].decision_id)
    except RecsysError as error:
        return None, f"Recsys cannot say: {error}"
    then = [str(item["item_id"]) for item in stored[0].final_items]
    again = [str(item["item_id"]) for item in replay.items]
    rows = enumerate(zip_longest(then, again, fillvalue=""), start=1)
    places = tuple((rank, before, after) for rank, (before, after) in rows)
    reason = REPLAY_REASONS.get(replay.reason or "", replay.reason or "")
    return MadeAgain(replay.status, reason, stored[0].ts, places), ""
