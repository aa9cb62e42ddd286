"""Events with their delivery, and one answer followed from the list to the order."""

from flask import request

from shop_app.admin.queries import events as found
from shop_app.admin.views.base import bp, page
from shop_app.core.events import EventKind


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
    return page("admin/event.html", event=found.event(event_id))


@bp.get("/answers/<request_id>")
def answer(request_id: str) -> str:
    """One list: what was seen, clicked, put in the basket and bought, and whether Recsys knows."""
    items = found.answer_items(request_id)
    first = min((e for item in items for e in item.events), key=lambda e: e.occurred_at, default=None)
    return page("admin/answer.html", request_id=request_id, items=items, first=first)
