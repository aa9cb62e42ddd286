"""The recommender's own guardrails: products that people send back are ranked lower, by how much is set here."""

from dataclasses import asdict, replace

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.queries.products import by_skus
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.recsys.operations import EmbeddedOperations
from shop_app.site_settings.services import audit_engine

NUMBERS = ("tolerated", "strength", "floor")


@bp.get("/regrets")
def regrets() -> tuple[str, int]:
    """Each guardrail with its form, and what it holds down now."""
    return _page({})


@bp.post("/regrets/<name>")
def change_regret(name: str) -> Response | tuple[str, int]:
    """Store its numbers; the next list follows."""
    operations = _operations()
    known = next((one for one in operations.guardrails() if one.name == name), None) if operations else None
    if operations is None or known is None:
        raise NotFound("There is no such guardrail.")
    try:
        numbers = _numbers()
        wanted = replace(known, tolerated=numbers["tolerated"], strength=numbers["strength"], floor=numbers["floor"])
        with unit_of_work(db.session):
            operations.put_guardrail(wanted)
            before, after = asdict(known), asdict(wanted)
            audit_engine(actor=actor(), action="engine.guardrail", subject=name, before=before, after=after, now=now())
    except InvalidInput as error:
        return _page(error.fields)
    except RecsysRejected as error:
        return _page({str(error.details.get("field", "tolerated")): [error.message]})
    flash("Saved. The next list follows it.", "good")
    return redirect(url_for("admin.regrets"), 303)


def _numbers() -> dict[str, float]:
    problems = {}
    found: dict[str, float] = {}
    for name in NUMBERS:
        text = request.form.get(name, "").strip()
        if not (text.isascii() and text.replace(".", "", 1).isdigit()):
            problems[name] = ["A number such as 0.2."]
        else:
            found[name] = float(text)
    if problems:
        raise InvalidInput(problems)
    return found


def _page(errors: dict[str, list[str]]) -> tuple[str, int]:
    operations = _operations()
    try:
        settings = operations.guardrails() if operations else []
        items = operations.regretted_items() if operations else []
    except RecsysError as error:
        return page("admin/unreachable.html", what="The guardrails", error=str(error)), 503
    shown = page(
        "admin/regrets.html",
        is_remote=operations is None,
        settings=settings,
        items=items,
        titles={product.sku: product.title for product in by_skus([one.item_id for one in items])},
        errors=errors,
    )
    return shown, 422 if errors else 200


def _operations() -> EmbeddedOperations | None:
    found: EmbeddedOperations | None = getattr(gateway(), "operations", None)
    return found
