"""Products: find, edit, edit many."""

from flask import current_app, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin import services
from shop_app.admin.forms import STATUSES, parse_bulk, parse_product
from shop_app.admin.paging import page_number
from shop_app.admin.queries import products as found
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.catalog.links.checks import broken, checks_of, words
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db

MAX_CHECKED = 100
"""Products whose addresses are looked at for one request."""


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
        "admin/products.html",
        listing=listing,
        wanted=wanted,
        departments=found.departments(),
        statuses=STATUSES,
        broken=broken([row.id for row in listing.rows]),
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


@bp.post("/products/link-checks")
def check_links() -> Response:
    """Have a worker look whether the pictures and pages of the ticked products answer."""
    back = redirect(_back(request.form.get("back", "")), 303)
    if not current_app.extensions["settings"].link_check_hosts:
        flash("No host may be asked. The setting LINK_CHECK_HOSTS names those that may.", "bad")
        return back
    with unit_of_work(db.session):
        number = services.ask_for_link_checks(request.form.getlist("skus")[:MAX_CHECKED], _site_url(), actor(), now())
    flash(f"{number} addresses are looked at within a minute." if number else "Nothing to look at.", "good")
    return back


def _site_url() -> str:
    url: str = current_app.extensions["settings"].public_url
    return url.rstrip("/")


def _form(product_id: int, typed: dict[str, str], errors: dict[str, list[str]]) -> str:
    return page(
        "admin/product.html",
        product=found.product(product_id),
        pending=found.pending_change(product_id),
        checks=checks_of(product_id),
        check_words=words,
        typed=typed,
        errors=errors,
        statuses=STATUSES,
    )


def _back(address: str) -> str:
    """Back to the same filter; nowhere else."""
    is_ours = address.startswith(("/admin/products?", "/admin/products/")) and "\\" not in address
    return address if is_ours else url_for("admin.products")
