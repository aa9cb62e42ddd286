"""Where the catalogue here and at Recsys differ (RS-067)."""

from flask import current_app, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError
from shop_app.site_settings.services import audit
from shop_app.sync.differences import Difference, catalogue_differences, mark_for_sync

SHOWN = 500
"""More rows than this are counted, not listed."""


@bp.get("/differences")
def differences() -> str | tuple[str, int]:
    """Every field of every item that is not the same."""
    try:
        found = _found()
    except RecsysError as error:
        return page("admin/unreachable.html", what="Its items", error=str(error)), 503
    chosen = request.args.get("field", "")
    kept = _of_field(found, chosen)
    return page(
        "admin/differences.html",
        differences=kept[:SHOWN],
        total=len(found),
        kept=len(kept),
        by_field=_by_field(found),
        chosen=chosen,
    )


@bp.post("/differences/syncing")
def sync_differences() -> Response:
    """Mark the products concerned, of one field when the form names it; the workers send them."""
    chosen = request.form.get("field", "")
    with unit_of_work(db.session):
        number = mark_for_sync(_of_field(_found(), chosen), now())
        after = {"items": number, "field": chosen or "all"}
        audit(actor=actor(), action="sync.differences", subject="recsys", after=after, now=now())
    flash(f"{number:,} products will be sent again.", "good" if number else "warn")
    return redirect(url_for("admin.differences"), 303)


def _found() -> list[Difference]:
    return catalogue_differences(gateway(), current_app.extensions["settings"].public_url.rstrip("/"))


def _of_field(found: list[Difference], chosen: str) -> list[Difference]:
    return [one for one in found if not chosen or one.field == chosen]


def _by_field(found: list[Difference]) -> list[tuple[str, int]]:
    names = sorted({one.field for one in found})
    return [(name, sum(one.field == name for one in found)) for name in names]
