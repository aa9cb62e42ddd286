"""The wishlist: works before sign-in, and moves into the account with it."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from shop_app.accounts import queries, services
from shop_app.accounts.views.base import bp, now
from shop_app.core.links import local_path
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.tracking.identity import current_shopper, keep_person


@bp.get("/wishlist")
def show_wishlist() -> str:
    """What somebody wants to remember, newest first."""
    return render_template("accounts/wishlist.html", cards=queries.wishlist(current_shopper().key))


@bp.post("/wishlist")
def add_wish() -> Response:
    """Put a product on it."""
    with unit_of_work(db.session):
        is_new = services.add_wish(current_shopper().key, request.form.get("sku", ""), now())
    keep_person()
    flash("Added to your wishlist." if is_new else "This is on your wishlist already.", "good")
    return redirect(_back(), 303)


@bp.post("/wishlist/<sku>/removal")
def remove_wish(sku: str) -> Response:
    """Take a product off it."""
    with unit_of_work(db.session):
        services.remove_wish(current_shopper().key, sku)
    flash("Removed from your wishlist.", "good")
    return redirect(_back(), 303)


def _back() -> str:
    return local_path(request.form.get("next"), url_for("accounts.show_wishlist"))
