"""Signing up, in and out."""

from flask import flash, redirect, render_template, request, session, url_for
from flask_limiter.util import get_remote_address
from flask_login import current_user
from werkzeug.wrappers import Response

from shop_app.accounts import two_step
from shop_app.accounts.forms import COUNTRIES, parse_credentials, parse_sign_up
from shop_app.accounts.models import User
from shop_app.accounts.services import authenticate, sign_up
from shop_app.accounts.views.base import (
    KNOWN_BROWSER,
    KNOWN_BROWSER_AGE_S,
    bp,
    email_digest,
    enter,
    is_known_browser,
    known_browser_cookie,
    leave,
    now,
    settings,
)
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.links import local_path
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, keep_cookie, limiter
from shop_app.tracking.identity import current_shopper

PER_ACCOUNT = "10 per 15 minutes"
"""Wrong passwords for one account from browsers it does not know; a browser it knows has its own ten."""
PER_ADDRESS = "30 per 15 minutes"
"""Wrong passwords from one network address, whatever the account."""
SIGN_UPS = "10 per hour"
"""Tries to sign up from one network address."""
CODE_WINDOW_S = 300
"""How long after the password the second factor may follow."""
WRONG = "That e-mail address and password do not match."
"""The one answer to every failed sign-in: it does not tell whether the address is known."""
TAKEN = "We could not make an account with this address. If it is yours, sign in instead."


def _account_bucket() -> str:
    email = parse_credentials(request.form).email
    nonce = is_known_browser(email)
    return f"sign-in:{email_digest(email)}:{nonce}"


def _has_failed(response: Response) -> bool:
    return response.status_code != 303


@bp.get("/sign-in")
def sign_in() -> str | Response:
    """The form."""
    if current_user.is_authenticated:
        return redirect(_next())
    return _sign_in_page()


@bp.post("/sign-in")
@limiter.limit(PER_ACCOUNT, key_func=_account_bucket, deduct_when=_has_failed)
@limiter.limit(PER_ADDRESS, key_func=get_remote_address, deduct_when=_has_failed)
def start_session() -> Response | tuple[str, int]:
    """Check address and password; staff with a second factor are asked for it next."""
    given = parse_credentials(request.form)
    user = authenticate(given.email, given.password)
    if user is None:
        return _sign_in_page(problem=WRONG, email=given.email), 400
    if user.totp_secret:
        session["awaits_code"] = [user.get_id(), now().timestamp()]
        return redirect(url_for("accounts.second_step", next=_next()), 303)
    return _let_in(user, given.password)


@bp.get("/sign-in/code")
def second_step() -> str | Response:
    """Ask for the six digits."""
    if _awaiting() is None:
        return redirect(url_for("accounts.sign_in", next=_next()))
    return render_template("accounts/code.html", next=_next(), errors={})


@bp.post("/sign-in/code")
@limiter.limit("10 per 15 minutes", key_func=lambda: f"code:{_awaiting_id()}", deduct_when=_has_failed)
def check_code() -> Response | tuple[str, int]:
    """Let the member in when the digits are right."""
    user = _awaiting()
    if user is None:
        flash("That took too long. Please sign in again.", "warn")
        return redirect(url_for("accounts.sign_in", next=_next()), 303)
    with unit_of_work(db.session):
        is_right = two_step.use_code(user, request.form.get("code", ""), now())
    if not is_right:
        errors = {"code": ["That code is not right, or was used already. Wait for the next one."]}
        return render_template("accounts/code.html", next=_next(), errors=errors), 400
    return _let_in(user, "")


@bp.get("/sign-up")
def sign_up_page() -> str | Response:
    """The form."""
    if current_user.is_authenticated:
        return redirect(_next())
    return render_template("accounts/sign_up.html", next=_next(), values={}, errors={})


@bp.post("/sign-up")
@limiter.limit(SIGN_UPS, key_func=get_remote_address)
def create_account() -> Response | tuple[str, int]:
    """Make the member and let them in."""
    try:
        form = parse_sign_up(request.form)
        with unit_of_work(db.session):
            user = sign_up(
                form.email,
                form.password,
                form.name,
                newsletter=form.newsletter,
                locale=_locale(),
                country=_country(),
                device=current_shopper().device,
                now=now(),
            )
    except InvalidInput as error:
        return _sign_up_again(error.fields)
    except Conflict:
        return _sign_up_again({"email": [TAKEN]})
    return _let_in(user, form.password, welcome=f"Welcome, {form.name}. Your account is ready.")


@bp.post("/sign-out")
def end_session() -> Response:
    """Leave; the browser starts again as somebody new."""
    leave()
    flash("You are signed out.", "good")
    return redirect("/", 303)


def _let_in(user: User, password: str, *, welcome: str = "") -> Response:
    email, is_staff = user.email, user.is_staff
    needs_enrolment = is_staff and settings().staff_two_step and not user.totp_secret
    target = _next()
    merge = enter(user, password)
    if welcome or merge.lines:
        flash(welcome or "What was in your basket here is in your account now.", "good")
    response = redirect(url_for("accounts.two_step_page", next=target) if needs_enrolment else target, 303)
    keep_cookie(response, KNOWN_BROWSER, known_browser_cookie(email), KNOWN_BROWSER_AGE_S)
    return response


def _sign_in_page(*, problem: str = "", email: str = "") -> str:
    return render_template("accounts/sign_in.html", next=_next(), problem=problem, email=email)


def _sign_up_again(errors: dict[str, list[str]]) -> tuple[str, int]:
    return render_template("accounts/sign_up.html", next=_next(), values=request.form, errors=errors), 400


def _next() -> str:
    return local_path(request.values.get("next"), "/account")


def _awaiting_id() -> str:
    kept = session.get("awaits_code")
    return str(kept[0]) if isinstance(kept, list) and len(kept) == 2 else ""


def _awaiting() -> User | None:
    """The member whose password was right a moment ago."""
    number, _, epoch = _awaiting_id().partition(".")
    if not number.isdigit() or now().timestamp() - session["awaits_code"][1] > CODE_WINDOW_S:
        return None
    user = db.session.get(User, int(number))
    return user if user and str(user.session_epoch) == epoch and user.totp_secret else None


def _locale() -> str:
    """The first language the browser asks for, such as `en-GB`."""
    best = request.accept_languages.best or "en-GB"
    return best if len(best) <= 10 and best.replace("-", "").isalnum() else "en-GB"


def _country() -> str:
    """Guessed from the language's region until the member says otherwise; the shop's own country by default."""
    region = _locale().rpartition("-")[2].upper()
    return region if region in dict(COUNTRIES) else "GB"
