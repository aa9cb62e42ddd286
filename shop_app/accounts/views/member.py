"""A member's own pages: overview, profile, addresses, password, second factor, sessions."""

from typing import Any

from flask import flash, redirect, render_template, request, session, url_for
from flask_login import login_required
from werkzeug.wrappers import Response

from shop_app.accounts import queries, services, sessions, two_step
from shop_app.accounts.forms import COUNTRIES, parse_address, parse_profile
from shop_app.accounts.passwords import is_correct
from shop_app.accounts.views.base import bp, enter, member, now, settings
from shop_app.catalog.queries import cards
from shop_app.catalog.recent import recent_skus
from shop_app.core.errors import InvalidInput
from shop_app.core.links import local_path
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, limiter
from shop_app.tracking.identity import current_shopper

MOST_RECENT_SHOWN = 6
TRIES = "10 per 15 minutes"


@bp.get("/account")
@login_required  # type: ignore[untyped-decorator]
def overview() -> str:
    """Where everything of a member's is found, and what they looked at lately."""
    shopper = current_shopper()
    return render_template(
        "accounts/overview.html",
        member=member(),
        recent=cards(recent_skus(shopper))[:MOST_RECENT_SHOWN],
        wishes=queries.wishlist_count(shopper.key),
    )


@bp.get("/account/profile")
@login_required  # type: ignore[untyped-decorator]
def profile() -> str:
    """Name, country, newsletter, favourite departments."""
    me = member()
    values = {"name": me.name, "country": me.country, "newsletter": me.newsletter}
    return _profile_page(values, me.preferred_categories, {})


@bp.post("/account/profile")
@login_required  # type: ignore[untyped-decorator]
def change_profile() -> Response | tuple[str, int]:
    """Keep what the form says."""
    chosen = request.form.getlist("categories")
    try:
        form = parse_profile(request.form, chosen, queries.department_names())
    except InvalidInput as error:
        return _profile_page(request.form, chosen, error.fields), 400
    with unit_of_work(db.session):
        services.change_profile(
            member(),
            name=form.name,
            country=form.country,
            newsletter=form.newsletter,
            preferred_categories=form.preferred_categories,
            now=now(),
        )
    flash("Your profile is saved.", "good")
    return redirect(url_for("accounts.profile"), 303)


@bp.get("/account/addresses")
@login_required  # type: ignore[untyped-decorator]
def addresses() -> str:
    """The address book and an empty form."""
    return _addresses_page({}, {})


@bp.post("/account/addresses")
@login_required  # type: ignore[untyped-decorator]
def add_address() -> Response | tuple[str, int]:
    """Put an address into the book."""
    return _save_address(None)


@bp.get("/account/addresses/<int:address_id>")
@login_required  # type: ignore[untyped-decorator]
def show_address(address_id: int) -> str:
    """One address in a form."""
    kept = queries.address(member().id, address_id)
    return render_template(
        "accounts/address.html",
        values=kept,
        address_id=kept.id,
        is_default=kept.is_default,
        errors={},
        countries=COUNTRIES,
    )


@bp.post("/account/addresses/<int:address_id>")
@login_required  # type: ignore[untyped-decorator]
def change_address(address_id: int) -> Response | tuple[str, int]:
    """Change one address."""
    return _save_address(address_id)


@bp.post("/account/addresses/<int:address_id>/removal")
@login_required  # type: ignore[untyped-decorator]
def remove_address(address_id: int) -> Response:
    """Take one address out."""
    with unit_of_work(db.session):
        services.remove_address(member(), address_id)
    flash("The address is gone.", "good")
    return redirect(url_for("accounts.addresses"), 303)


@bp.get("/account/security")
@login_required  # type: ignore[untyped-decorator]
def security() -> str:
    """Password, second factor, and where the member is signed in."""
    return _security_page({})


@bp.post("/account/password")
@login_required  # type: ignore[untyped-decorator]
@limiter.limit(TRIES, key_func=lambda: f"password:{member().id}")
def change_password() -> Response | tuple[str, int]:
    """Replace the password; every other browser is signed out."""
    new = request.form.get("password", "")
    try:
        with unit_of_work(db.session):
            services.change_password(member(), request.form.get("current", ""), new, now())
    except InvalidInput as error:
        return _security_page(error.fields), 400
    enter(member(), new)
    flash("Your password is changed, and every other browser is signed out.", "good")
    return redirect(url_for("accounts.security"), 303)


@bp.post("/account/sessions/<int:session_id>/end")
@login_required  # type: ignore[untyped-decorator]
def end_one_session(session_id: int) -> Response:
    """Sign one browser out."""
    with unit_of_work(db.session):
        sessions.end_session(member().id, session_id=session_id, now=now())
    flash("That browser is signed out.", "good")
    return redirect(url_for("accounts.security"), 303)


@bp.post("/account/sessions/end")
@login_required  # type: ignore[untyped-decorator]
def end_other_sessions() -> Response:
    """Sign out everywhere but here."""
    me = member()
    with unit_of_work(db.session):
        sessions.end_all_sessions(me, now())
    enter(me, "")
    flash("Every other browser is signed out.", "good")
    return redirect(url_for("accounts.security"), 303)


@bp.get("/account/two-step")
@login_required  # type: ignore[untyped-decorator]
def two_step_page() -> str:
    """Set up an authenticator app, or turn it off."""
    return _two_step_page({})


@bp.post("/account/two-step")
@login_required  # type: ignore[untyped-decorator]
@limiter.limit(TRIES, key_func=lambda: f"two-step:{member().id}")
def enrol() -> Response | tuple[str, int]:
    """Turn the second factor on; the secret waited in the signed session since the page was shown."""
    try:
        with unit_of_work(db.session):
            _require_password()
            two_step.enrol(member(), session.get("new_totp", ""), request.form.get("code", ""), now())
    except InvalidInput as error:
        return _two_step_page(error.fields), 400
    session.pop("new_totp", None)
    flash("From now on we ask for a code when you sign in.", "good")
    return redirect(local_path(request.form.get("next"), url_for("accounts.security")), 303)


@bp.post("/account/two-step/removal")
@login_required  # type: ignore[untyped-decorator]
@limiter.limit(TRIES, key_func=lambda: f"two-step:{member().id}")
def disenrol() -> Response | tuple[str, int]:
    """Turn the second factor off."""
    try:
        with unit_of_work(db.session):
            _require_password()
            two_step.disenrol(member())
    except InvalidInput as error:
        return _two_step_page(error.fields), 400
    flash("We don’t ask for a code any more.", "good")
    return redirect(url_for("accounts.security"), 303)


def _save_address(address_id: int | None) -> Response | tuple[str, int]:
    try:
        address = parse_address(request.form)
        with unit_of_work(db.session):
            services.save_address(
                member(), address, is_default=request.form.get("is_default") == "on", address_id=address_id
            )
    except InvalidInput as error:
        if address_id is None:
            return _addresses_page(request.form, error.fields), 400
        return _address_page(request.form, address_id, error.fields, is_default="is_default" in request.form), 400
    flash("The address is saved.", "good")
    return redirect(url_for("accounts.addresses"), 303)


def _address_page(values: Any, address_id: int, errors: dict[str, list[str]], *, is_default: bool) -> str:
    return render_template(
        "accounts/address.html",
        values=values,
        address_id=address_id,
        is_default=is_default,
        errors=errors,
        countries=COUNTRIES,
    )


def _profile_page(values: Any, chosen: list[str], errors: dict[str, list[str]]) -> str:
    return render_template(
        "accounts/profile.html",
        member=member(),
        values=values,
        chosen=chosen,
        errors=errors,
        countries=COUNTRIES,
        departments_by_path=queries.department_names(),
    )


def _addresses_page(values: Any, errors: dict[str, list[str]]) -> str:
    return render_template(
        "accounts/addresses.html",
        addresses=queries.addresses(member().id),
        values=values,
        errors=errors,
        countries=COUNTRIES,
        country_names=dict(COUNTRIES),
    )


def _security_page(errors: dict[str, list[str]]) -> str:
    me, token = member(), session.get("member_session", "")
    return render_template(
        "accounts/security.html",
        member=me,
        sessions=[(row, sessions.is_own(row, token)) for row in sessions.live_sessions(me.id)],
        errors=errors,
    )


def _two_step_page(errors: dict[str, list[str]]) -> str:
    me = member()
    if not me.totp_secret and "new_totp" not in session:
        session["new_totp"] = two_step.new_secret()
    secret = session.get("new_totp", "")
    uri = two_step.enrolment_uri(me, secret, settings().shop_name) if secret else ""
    return render_template(
        "accounts/two_step.html",
        member=me,
        secret=secret,
        uri=uri,
        errors=errors,
        next=local_path(request.values.get("next"), url_for("accounts.security")),
    )


def _require_password() -> None:
    if not is_correct(member().password_hash, request.form.get("current", "")):
        raise InvalidInput({"current": ["That is not your password."]})
