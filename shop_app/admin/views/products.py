"""Products: find, edit, edit many."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.forms import STATUSES, parse_bulk, parse_product
from shop_app.admin.paging import page_number
from shop_app.admin.queries import products as found
from shop_app.admin.views.base import actor, bp, currency, now, page
from shop_app.catalog import services as catalog
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings.services import audit


@bp.get("/products")
def products() -> str:
    """The list; the address holds the filter."""
    wanted = found.ProductFilter(
        text=request.args.get("q", ""),
        status=request.args.get("status", ""),
        category=request.args.get("category", ""),
        stock=request.args.get("stock", ""),
        order=request.args.get("order", "changed"),
    )
    listing = found.products(wanted, page_number(request.args))
    return page(
        "admin/products.html", listing=listing, wanted=wanted, departments=found.departments(), statuses=STATUSES
    )


@bp.get("/products/<int:product_id>")
def product(product_id: int) -> str:
    """One product with its form."""
    return _form(product_id, {}, {})


@bp.post("/products/<int:product_id>")
def change_product(product_id: int) -> Response | tuple[str, int]:
    """Save the form."""
    try:
        change = parse_product(request.form, currency())
    except InvalidInput as error:
        return _form(product_id, request.form.to_dict(), error.fields), 422
    with unit_of_work(db.session):
        catalog.change_product(product_id, change, now())
        _note(f"product {product_id}", change)
    flash("Saved. Recsys is told within seconds.", "good")
    return redirect(url_for("admin.product", product_id=product_id), 303)


@bp.post("/products/changes")
def change_products() -> Response:
    """One change for all ticked products."""
    back = redirect(request.form.get("back", "") if _is_here(request.form.get("back", "")) else "/admin/products", 303)
    try:
        ids, change = parse_bulk(request.form, request.form.getlist("ids"))
    except InvalidInput as error:
        flash(" ".join(text for texts in error.fields.values() for text in texts), "bad")
        return back
    with unit_of_work(db.session):
        number = catalog.change_products(ids, change, now())
        _note(f"{number} products", change, note=", ".join(map(str, ids)))
    flash(f"{number} products changed.", "good")
    return back


def _form(product_id: int, typed: dict[str, str], errors: dict[str, list[str]]) -> str:
    return page(
        "admin/product.html",
        product=found.product(product_id),
        pending=found.pending_change(product_id),
        typed=typed,
        errors=errors,
        statuses=STATUSES,
    )


def _note(subject: str, change: catalog.ProductChange, note: str = "") -> None:
    after = {name: value for name in change.__slots__ if (value := getattr(change, name)) is not None}
    audit(actor=actor(), action="catalog.change", subject=subject, after=after, note=note, now=now())


def _is_here(address: str) -> bool:
    return address.startswith("/admin/products") and "//" not in address and "\\" not in address
