"""The switches of the whole shop: one form, versioned, any version one click away (RS-068)."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.queries.audit import staff_names
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.errors import Conflict
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings import flags, history
from shop_app.site_settings.queries import all_slot_settings
from shop_app.site_settings.services import update


@bp.get("/flags")
def feature_flags() -> str:
    """What is on, what each switch does, and who switched what when."""
    return _page(*flags.flags_now())


@bp.post("/flags")
def change_flags() -> Response | tuple[str, int]:
    """Save all switches, unless somebody else saved since the form was opened."""
    return _save(flags.parse_flags(request.form))


@bp.post("/flags/versions/<int:number>/restoring")
def restore_flags(number: int) -> Response | tuple[str, int]:
    """Make an earlier version the current one; 0 switches everything on."""
    values = history.version(flags.KEY, number).values if number else flags.DEFAULTS
    return _save({name: bool(values.get(name, True)) for name in flags.NAMES})


def _save(values: dict[str, bool]) -> Response | tuple[str, int]:
    text = request.form.get("version", "")
    try:
        with unit_of_work(db.session):
            seen = int(text) if text.isascii() and text.isdigit() else -1
            update(flags.KEY, values, expected_version=seen, actor=actor(), now=now())
    except Conflict:
        flash("Somebody else switched something meanwhile. Below is what holds now; nothing of yours was saved.", "bad")
        return _page(*flags.flags_now()), 409
    flash("Saved. The next list anybody sees follows it.", "good")
    return redirect(url_for("admin.feature_flags"), 303)


def _page(values: dict[str, bool], version: int) -> str:
    stored, versions = all_slot_settings(), history.versions(flags.KEY, flags.DEFAULTS)
    return page(
        "admin/flags.html",
        values=values,
        version=version,
        versions=versions,
        names=staff_names(versions),
        sentences=flags.SENTENCES,
        surfaces=flags.SURFACE_SENTENCES,
        prefix=flags.SURFACE_PREFIX,
        lists={
            surface: [one.title for one in stored if one.slot.partition(".")[0] == surface]
            for surface in flags.SURFACES
        },
    )
