"""The fragments behind the slots, and the same lists as pages of their own for browsers without JavaScript."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import perf_counter, thread_time

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from werkzeug.wrappers import Response as BaseResponse

from recsys_engine.contract import Recommendations, ScoredItem
from shop_app.catalog.recent import recent_skus
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.shopper import Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments.bandits import active_bandit
from shop_app.experiments.queries import Assignment, assignment
from shop_app.extensions import db, limiter
from shop_app.site_settings.defaults import SlotSettings
from shop_app.site_settings.flags import Flag, is_on
from shop_app.site_settings.queries import shown_slot
from shop_app.site_settings.stored import engine_settings
from shop_app.tracking.identity import current_shopper
from shop_app.tracking.models import LEFT_OUT_FOR
from shop_app.tracking.services import record_complaint, take_back_complaint
from shop_app.widgets.drawing import News, draw
from shop_app.widgets.queries import cart_item_ids, cart_pulse_and_turned_away, known_items
from shop_app.widgets.registry import SLOTS, Needs, Slot
from shop_app.widgets.schemas import MOST_ELSEWHERE, read_needs, read_request_id, read_shown
from shop_app.widgets.services import Arm, Recommender, Rival, Visit, Widget, fill

bp = Blueprint("widgets", __name__)

PAGE_K = 24
"""Cards on a list's own page."""
COMPLAINTS = "30 per hour"
"""How often one address may say that a list is not for it, and how often take it back."""
LEFT_OUT = f"This list leaves those out for {LEFT_OUT_FOR.days} days."


@bp.get("/w/<slot>")
def slot(slot: str) -> Response:
    """One filled slot; 200 whatever the recommender does, and never kept by a cache."""
    response = make_response(_answered(slot, draw))
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.get("/recommendations/<slot>")
def page(slot: str) -> str:
    """The list of a slot as a page."""
    return _answered(slot, _draw_page, k=PAGE_K)


@bp.post("/w/<slot>/complaints")
@limiter.limit(COMPLAINTS)
def complain_in_place(slot: str) -> Response:
    """Take "Not for me", said where the list stands: another takes its place. Where nobody may be remembered, or nobody
    said what was shown, the button's place says thank you.
    """
    complaint = _complain(_known_slot(slot))
    if not complaint:
        return make_response(render_template("widgets/_thanks.html"))
    response = make_response(_answered(slot, partial(draw, news=News("Here are others.", complaint))))
    response.headers["HX-Retarget"] = f"#{SLOTS[slot].dom_id}"
    return response


@bp.post("/recommendations/<slot>/complaints")
@limiter.limit(COMPLAINTS)
def complain(slot: str) -> BaseResponse:
    """The same on the list's own page, which then offers to take it back."""
    complaint = _complain(_known_slot(slot))
    flash(f"Here are others. {LEFT_OUT}" if complaint else "Thank you. We counted it.", "good")
    return redirect(_page_of(slot, complaint), 303)


@bp.post("/w/<slot>/complaints/<int:complaint>/withdrawal")
@limiter.limit(COMPLAINTS)
def take_back_in_place(slot: str, complaint: int) -> str:
    """Take "Not for me" back: the list that was turned away stands in its place again."""
    again = _take_back(_known_slot(slot), complaint)
    return _answered(slot, partial(draw, news=News("They are back.")), again=again)


@bp.post("/recommendations/<slot>/complaints/<int:complaint>/withdrawal")
@limiter.limit(COMPLAINTS)
def take_back(slot: str, complaint: int) -> BaseResponse:
    """The same on the list's own page."""
    _take_back(_known_slot(slot), complaint)
    flash("They may come back.", "good")
    return redirect(_page_of(slot), 303)


def _known_slot(name: str) -> Slot:
    if name not in SLOTS:
        raise NotFound("There is no such list.")
    return SLOTS[name]


def _complain(slot: Slot) -> int:
    """Count it; returns the complaint if the lists of this shopper now do without what was shown, else 0."""
    shopper, shown = _met_shopper(), read_shown(request.form.get("shown_items", ""))
    answer, now = read_request_id(request.form.get("request_id", "")), current_app.extensions["clock"].now()
    with unit_of_work(db.session):
        is_known = shopper.consent.personalisation and not shopper.is_bot
        items = known_items(shown) if is_known else []
        complaint = record_complaint((slot.surface, slot.widget), answer, current_shopper(), now, items)
    return complaint if items and complaint else 0


def _take_back(slot: Slot, complaint: int) -> Recommendations | None:
    """Let what was turned away come back; returns the recommender's answer it was, if it was one."""
    with unit_of_work(db.session):
        answer, items = take_back_complaint(complaint, (slot.surface, slot.widget), current_shopper().key)
    scored = tuple(ScoredItem(item_id, 0.0, rank) for rank, item_id in enumerate(items, 1))
    return Recommendations(answer, "", scored) if answer and items else None


def _page_of(slot: str, complaint: int = 0) -> str:
    query = _needs().query
    undo = f"{'&' if query else '?'}undo={complaint}" if complaint else ""
    return url_for("widgets.page", slot=slot) + query + undo


def _answered(
    slot: str, draw: Callable[[Widget, Needs], str], *, k: int = 0, again: Recommendations | None = None
) -> str:
    """The slot's list, drawn, and counted with the time it took."""
    began, worked = perf_counter(), thread_time()
    needs = _needs()
    widget = _filled(_known_slot(slot), needs, k, again)
    drawn = draw(widget, needs)
    current_app.extensions["meter"].count_answer(
        slot,
        widget.source,
        widget.reason,
        took_s=perf_counter() - began,
        cpu_s=thread_time() - worked,
        is_hit=widget.is_hit,
    )
    return drawn


def _draw_page(widget: Widget, needs: Needs) -> str:
    undo = request.args.get("undo", 0, type=int) if current_shopper().consent.personalisation else 0
    return render_template("widgets/page.html", widget=widget, needs=needs, undo=undo, in_place=False)


def _needs() -> Needs:
    """What the address says, and a form about the rest of its page; a price somebody mistyped is no reason to show no
    list.
    """
    args: MultiDict[str, str] = request.args
    if request.method == "POST":
        rest = MultiDict(("shown", item) for item in request.form.getlist("shown")[:MOST_ELSEWHERE])
        args = CombinedMultiDict((request.args, rest))
    try:
        return read_needs(args)
    except InvalidInput:
        return Needs(category=request.args.get("category", "")[:300], item=request.args.get("item", "")[:100])


def _met_shopper() -> Shopper:
    """Who asks, as lists may know them."""
    return current_shopper() if is_on(Flag.PERSONALISATION) else current_shopper().as_stranger()


def _filled(slot: Slot, needs: Needs, k: int, again: Recommendations | None) -> Widget:
    shopper, name, now = _met_shopper(), slot.name, current_app.extensions["clock"].now()
    assigned = assignment(name, shopper) if is_on(Flag.EXPERIMENTS) else None
    wanted = shown_slot(name)
    bandit = active_bandit(name) if assigned is None and is_on(Flag.EXPLORATION) else None
    if assigned:
        wanted = replace(wanted, **assigned.changes)
    engine = engine_settings()
    return fill(
        replace(wanted, k=k) if k else wanted,
        shopper,
        _visit(slot, shopper, now),
        needs,
        Recommender(
            current_app.extensions["recsys"],
            current_app.extensions["answers"],
            current_app.extensions["settings"].recsys_timeout_ms / 1000,
            is_on=is_on(Flag.RECOMMENDER),
            explores=is_on(Flag.EXPLORATION),
            version=engine.version,
            changed_at=engine.updated_at,
            policies=bandit.policies if bandit else (),
        ),
        now=now,
        again=again,
        arm=_arm(assigned, shown_slot(name)) if assigned else Arm(bandit.key if bandit else ""),
    )


def _visit(slot: Slot, shopper: Shopper, now: datetime) -> Visit:
    if not shopper.consent.personalisation:
        return Visit(cart=cart_item_ids(shopper.key))
    cart, pulse, turned_away = cart_pulse_and_turned_away(shopper.key, (slot.surface, slot.widget), now)
    return Visit(cart, recent_skus(shopper), pulse, turned_away)


def _arm(assigned: Assignment, stored: SlotSettings) -> Arm:
    other = assigned.rival
    rival = Rival(replace(stored, **other.changes), other.engine) if other else None
    return Arm(assigned.experiment, assigned.variant, assigned.engine, rival)
