"""Products: find, edit, edit many."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin import services
from shop_app.admin.forms import STATUSES, parse_bulk, parse_product
from shop_app.admin.paging import page_number
from shop_app.admin.queries import products as found
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db


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
        with unit_of_work(db.session):
            product = found.product(product_id)
            services.edit_product(product, parse_product(request.form, product), actor(), now())
    except InvalidInput as error:
        return _form(product_id, request.form.to_dict(), error.fields), 422
    flash("Saved. Recsys is told within seconds.", "good")
    return redirect(url_for("admin.product", product_id=product_id), 303)


@bp.post("/products/changes")
def change_products() -> Response:
    """One change for all ticked products."""
    back = redirect(_back(request.form.get("back", "")), 303)
    try:
        skus, edit = parse_bulk(request.form, request.form.getlist("skus"))
    except InvalidInput as error:
        flash(" ".join(text for texts in error.fields.values() for text in texts), "bad")
        return back
    with unit_of_work(db.session):
        number = services.edit_products(skus, edit, actor(), now())
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


def _back(address: str) -> str:
    """Back to the same filter; nowhere else."""
    is_ours = address.startswith("/admin/products?") and "\\" not in address
    return address if is_ours else url_for("admin.products")
