"""A member's own data: see it, take it along, have it erased."""

import json
from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_login import current_user, login_required, logout_user
from werkzeug.wrappers import Response as BaseResponse

from shop_app.accounts.models import User
from shop_app.accounts.passwords import is_correct
from shop_app.accounts.views.base import KNOWN_BROWSER
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, drop_cookie, handle, limiter
from shop_app.privacy.services import erase, export, person_of
from shop_app.tracking.identity import current_shopper, start_new_person

bp = Blueprint("privacy", __name__)

TRIES = "10 per minute"


@bp.get("/privacy")
def overview() -> BaseResponse:
    """Where the choice about tracking is made."""
    return redirect(url_for("tracking.consent_page"))


@bp.get("/account/data")
@login_required  # type: ignore[untyped-decorator]  # flask-login has no types
def data() -> str:
    """What can be done with one's data."""
    return render_template("privacy/data.html", problem="")


@bp.post("/account/data/export")
@login_required  # type: ignore[untyped-decorator]  # flask-login has no types
@limiter.limit(TRIES)
def take_along() -> BaseResponse | tuple[str, int]:
    """Everything held about the member, as one JSON file; asks for the password again."""
    if not _confirmed():
        return _refused()
    held = export(person_of(current_shopper().key), handle("recsys"))
    text = json.dumps(held, default=_plain, ensure_ascii=False, indent=1)
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "private, no-store"}
    return Response(text, mimetype="application/json", headers=headers)


@bp.post("/account/data/erasure")
@login_required  # type: ignore[untyped-decorator]  # flask-login has no types
@limiter.limit(TRIES)
def forget_me() -> BaseResponse | tuple[str, int]:
    """Erase the member for good; asks for the password again."""
    if not _confirmed():
        return _refused()
    key = current_shopper().key
    logout_user()
    with unit_of_work(db.session):
        erase(person_of(key), handle("clock").now())
    start_new_person()
    flash("Your account and what we learned from you are erased. Recsys follows within minutes.", "good")
    response = redirect(url_for("catalog.home"), 303)
    drop_cookie(response, KNOWN_BROWSER)
    return response


def _confirmed() -> bool:
    user = db.session.get_one(User, current_user.id)
    return is_correct(user.password_hash, request.form.get("password", ""))


def _refused() -> tuple[str, int]:
    return render_template("privacy/data.html", problem="That password is not right."), 400


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
