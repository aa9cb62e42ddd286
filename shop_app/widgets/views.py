"""The fragments behind the slots, and the same lists as pages of their own for browsers without JavaScript."""

from collections.abc import Callable
from dataclasses import replace
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
from werkzeug.wrappers import Response as BaseResponse

from shop_app.catalog.recent import recent_skus
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments.bandits import active_bandit
from shop_app.experiments.queries import Assignment, assignment
from shop_app.extensions import db, limiter
from shop_app.site_settings.defaults import SlotSettings
from shop_app.site_settings.flags import Flag, is_on
from shop_app.site_settings.queries import shown_slot
from shop_app.site_settings.stored import engine_settings
from shop_app.tracking.identity import current_shopper
from shop_app.tracking.services import record_complaint
from shop_app.widgets.drawing import draw
from shop_app.widgets.queries import cart_and_pulse, cart_item_ids
from shop_app.widgets.registry import SLOTS, Needs
from shop_app.widgets.schemas import read_needs, read_request_id
from shop_app.widgets.services import Arm, Recommender, Rival, Visit, Widget, fill

bp = Blueprint("widgets", __name__)

PAGE_K = 24
"""Cards on a list's own page."""
COMPLAINTS = "30 per hour"
"""How often one address may say that a list is not for it."""


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
def complain_in_place(slot: str) -> str:
    """Take "Not for me", said where the list stands: the button's place says thank you."""
    _complain(slot)
    return render_template("widgets/_thanks.html")


@bp.post("/recommendations/<slot>/complaints")
@limiter.limit(COMPLAINTS)
def complain(slot: str) -> BaseResponse:
    """The same on the list's own page."""
    _complain(slot)
    flash("Thank you. What is not for you is counted, and somebody looks at it.", "good")
    query = f"?{request.query_string.decode()}" if request.query_string else ""
    return redirect(url_for("widgets.page", slot=slot) + query, 303)


def _complain(name: str) -> None:
    if name not in SLOTS:
        raise NotFound("There is no such list.")
    place = (SLOTS[name].surface, SLOTS[name].widget)
    answer, now = read_request_id(request.form.get("request_id", "")), current_app.extensions["clock"].now()
    with unit_of_work(db.session):
        record_complaint(place, answer, current_shopper(), now)


def _answered(slot: str, draw: Callable[[Widget, Needs], str], *, k: int = 0) -> str:
    """The slot's list, drawn, and counted with the time it took."""
    began, worked = perf_counter(), thread_time()
    needs = _needs()
    widget = _filled(slot, needs, k)
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
    return render_template("widgets/page.html", widget=widget, needs=needs, in_place=False)


def _needs() -> Needs:
    """What the address says; a price somebody mistyped is no reason to show no list."""
    try:
        return read_needs(request.args)
    except InvalidInput:
        return Needs(category=request.args.get("category", "")[:300], item=request.args.get("item", "")[:100])


def _filled(name: str, needs: Needs, k: int) -> Widget:
    if name not in SLOTS:
        raise NotFound("There is no such list.")
    shopper = current_shopper() if is_on(Flag.PERSONALISATION) else current_shopper().as_stranger()
    assigned = assignment(name, shopper) if is_on(Flag.EXPERIMENTS) else None
    wanted = shown_slot(name)
    bandit = active_bandit(name) if assigned is None and is_on(Flag.EXPLORATION) else None
    if assigned:
        wanted = replace(wanted, **assigned.changes)
    engine = engine_settings()
    is_known = shopper.consent.personalisation
    cart, pulse = cart_and_pulse(shopper.key) if is_known else (cart_item_ids(shopper.key), None)
    return fill(
        replace(wanted, k=k) if k else wanted,
        shopper,
        Visit(cart=cart, recent=recent_skus(shopper), pulse=pulse),
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
        now=current_app.extensions["clock"].now(),
        arm=_arm(assigned, shown_slot(name)) if assigned else Arm(bandit.key if bandit else ""),
    )


def _arm(assigned: Assignment, stored: SlotSettings) -> Arm:
    other = assigned.rival
    rival = Rival(replace(stored, **other.changes), other.engine) if other else None
    return Arm(assigned.experiment, assigned.variant, assigned.engine, rival)
