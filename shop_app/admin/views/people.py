"""Members. Looking at one, or at the list, is written down, since it shows personal data."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.accounts.models import STAFF_ROLES
from shop_app.admin import services
from shop_app.admin.forms import parse_role
from shop_app.admin.paging import page_number
from shop_app.admin.queries import people as found
from shop_app.admin.services import member_subject
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings.services import audit

ROLES = ("shopper", *STAFF_ROLES)


@bp.get("/members")
def people() -> str:
    """The list; the address holds the filter."""
    text, role = request.args.get("q", ""), request.args.get("role", "")
    with unit_of_work(db.session):
        shown = len(found.people(text, role, page_number(request.args)).rows)
        audit(actor=actor(), action="people.listed", subject="members", after={"shown": shown}, now=now())
    listing = found.people(text, role, page_number(request.args))
    return page("admin/people.html", listing=listing, text=text, role=role, roles=ROLES)


@bp.get("/letters")
def letters() -> str:
    """What was written to members. A link in a letter opens an account, so only owners see this page."""
    with unit_of_work(db.session):
        shown = len(found.letters(page_number(request.args)).rows)
        audit(actor=actor(), action="letters.listed", subject="letters", after={"shown": shown}, now=now())
    return page("admin/letters.html", listing=found.letters(page_number(request.args)), now=now())


@bp.get("/members/<int:user_id>")
def person(user_id: int) -> str:
    """One member: who they are, what they agreed to, what they did."""
    with unit_of_work(db.session):
        audit(actor=actor(), action="people.opened", subject=member_subject(found.person(user_id).key), now=now())
    one = found.person(user_id)
    return page(
        "admin/person.html",
        person=one,
        orders=found.orders_of(one),
        events=found.events_of(one.key),
        consent=found.consent_of(one.key),
        roles=ROLES,
    )


@bp.post("/members/<int:user_id>/role")
def change_role(user_id: int) -> Response:
    """Give a member another role."""
    role = parse_role(request.form)
    with unit_of_work(db.session):
        services.change_role(user_id, role, actor(), now())
    flash("The role is changed; they have to sign in again.", "good")
    return redirect(url_for("admin.person", user_id=user_id), 303)
