"""What looks alike to the recommender: the state of its text vectors, a spot check, and pairs people say are false."""

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

NEIGHBOURS = 12
SHOWN_IDS = 20


@bp.get("/similarity")
def similarity() -> str | tuple[str, int]:
    """Health, the neighbours of one product, and every false pair."""
    operations, sku = _operations(), request.args.get("item", "").strip()[:200]
    if operations is None:
        return page("admin/similarity.html", is_remote=True, item="", titles={})
    problem = ""
    try:
        health, pairs, refit = operations.vector_health(), operations.false_pairs(), operations.refit_status()
        found = operations.text_neighbours(sku, NEIGHBOURS) if sku else []
    except RecsysRejected as error:
        health, pairs, refit = operations.vector_health(), operations.false_pairs(), operations.refit_status()
        found, problem = [], error.message
    except RecsysError as error:
        return page("admin/unreachable.html", what="The vectors", error=str(error)), 503
    named = {sku, *(one.item_id for one in found), *(name for pair in pairs for name in (pair.item_id, pair.other_id))}
    return page(
        "admin/similarity.html",
        is_remote=False,
        health=health,
        refit=refit,
        wrong=[("missing", health.missing), ("all zero", health.zero), ("older than the text", health.stale)],
        shown_ids=SHOWN_IDS,
        item=sku,
        neighbours=found,
        problem=problem,
        pairs=pairs,
        titles={product.sku: product.title for product in by_skus(sorted(named))},
    )


@bp.post("/similarity/pairs")
def judge_pair() -> Response:
    """Two products are not alike, or are after all."""
    operations = _operations()
    if operations is None:
        raise NotFound("The recommender runs elsewhere, and so do its vectors.")
    one, other = request.form.get("item_id", "").strip(), request.form.get("other_id", "").strip()
    is_false = request.form.get("to") == "false"
    if not one or not other or one == other:
        raise InvalidInput({"other_id": ["Two different products."]})
    try:
        with unit_of_work(db.session):
            if is_false:
                operations.mark_false(one, other, actor())
            else:
                operations.unmark_false(one, other)
            after = {"pair": [one, other], "alike": not is_false}
            audit_engine(actor=actor(), action="engine.false_pair", subject=one, after=after, now=now())
    except RecsysRejected as error:
        raise InvalidInput({"other_id": [error.message]}) from error
    flash("They are not shown as alike any more." if is_false else "They may be shown as alike again.", "good")
    return redirect(url_for("admin.similarity", item=one), 303)


def _operations() -> EmbeddedOperations | None:
    found: EmbeddedOperations | None = getattr(gateway(), "operations", None)
    return found
