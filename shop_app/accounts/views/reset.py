"""Forgotten passwords: asking for a link, and choosing a new password with it."""

from flask import flash, redirect, render_template, request, session, url_for
from flask_limiter.util import get_remote_address
from itsdangerous import URLSafeSerializer
from werkzeug.wrappers import Response

from shop_app.accounts import resets
from shop_app.accounts.forms import parse_credentials, read_email
from shop_app.accounts.views.base import bp, email_digest, now, settings, signer
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, limiter

PER_ACCOUNT = "5 per hour"
"""Links for one address, whether it has an account or not."""
PER_ADDRESS = "20 per hour"
"""Links asked for, and passwords tried with them, from one network address."""
ON_ITS_WAY = "If an account belongs to this address, a link is on its way to it. It works once, for 30 minutes."
"""The one answer, which does not tell whether the address is known."""
SPENT = "That link was used already, or is older than 30 minutes. Ask for a new one."
KEPT_LINK = "reset_link"
"""Where the session keeps the link's token: it must not stay in an address that browsers hand on."""


def _account_bucket() -> str:
    return f"reset:{email_digest(parse_credentials(request.form).email)}"


@bp.get("/sign-in/reset")
def reset_page() -> str:
    """Ask for the address."""
    return render_template("accounts/reset.html", email="", errors={})


@bp.post("/sign-in/reset")
@limiter.limit(PER_ACCOUNT, key_func=_account_bucket)
@limiter.limit(PER_ADDRESS, key_func=get_remote_address)
def ask_for_link() -> Response | tuple[str, int]:
    """Have a link written to the member with this address, if there is one."""
    errors: dict[str, list[str]] = {}
    email = read_email(request.form, errors)
    if errors:
        return render_template("accounts/reset.html", email=request.form.get("email", ""), errors=errors), 400
    with unit_of_work(db.session):
        resets.ask_for_link(email, _signer(), _address, now())
    flash(ON_ITS_WAY, "good")
    return redirect(url_for("accounts.sign_in"), 303)


@bp.get("/sign-in/link")
def open_link() -> Response:
    """Take the token out of the address. Opening uses nothing up: programs that look at mail open links too."""
    session[KEPT_LINK] = request.args.get("token", "")[:500]
    return redirect(url_for("accounts.new_password_page"), 303)


@bp.get("/sign-in/new-password")
def new_password_page() -> str | Response:
    """The form, while the link works."""
    claim = _claim()
    if claim is None or not resets.still_works(claim, now()):
        return _spent()
    return render_template("accounts/new_password.html", errors={})


@bp.post("/sign-in/new-password")
@limiter.limit(PER_ADDRESS, key_func=get_remote_address)
def set_new_password() -> Response | tuple[str, int]:
    """Replace the password; every browser is signed out, and a second factor is asked for as ever."""
    claim = _claim()
    if claim is None:
        return _spent()
    try:
        with unit_of_work(db.session):
            resets.set_password(claim, request.form.get("password", ""), now())
    except InvalidInput as error:
        return render_template("accounts/new_password.html", errors=error.fields), 400
    except Conflict:
        return _spent()
    session.pop(KEPT_LINK, None)
    flash("Your password is changed, and every browser is signed out. Sign in with the new one.", "good")
    return redirect(url_for("accounts.sign_in"), 303)


def _spent() -> Response:
    session.pop(KEPT_LINK, None)
    flash(SPENT, "warn")
    return redirect(url_for("accounts.reset_page"), 303)


def _claim() -> resets.Claim | None:
    return resets.read_link(str(session.get(KEPT_LINK, "")), _signer())


def _signer() -> URLSafeSerializer:
    return signer("password-reset")


def _address(token: str) -> str:
    return settings().public_url.rstrip("/") + url_for("accounts.open_link", token=token)
