"""Products from a file: uploaded, shown as what it would change, and stored after a yes."""

from contextlib import closing

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from shop_app.admin import services
from shop_app.admin.views.base import actor, bp, csv_answer, currency, now, page
from shop_app.catalog.importing import uploads
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db

SHOWN = 200
"""Rows of each kind on the page; the file has them all."""


@bp.get("/products/imports/new")
def catalogue_import() -> str:
    """Choose a file."""
    return _form({})


@bp.post("/products/imports")
def upload_catalogue() -> BaseResponse | tuple[str, int]:
    """Keep the file, and show what it would change."""
    name, content = _posted_file()
    try:
        with unit_of_work(db.session):
            upload_id = uploads.keep_upload(name, content, actor(), now()).id
    except InvalidInput as error:
        return _form(error.fields), 422
    return redirect(url_for("admin.import_preview", upload_id=upload_id), 303)


@bp.get("/products/imports/<int:upload_id>")
def import_preview(upload_id: int) -> str | tuple[str, int]:
    """New, changed field by field, unchanged and refused rows of the file, against the catalogue as it is now."""
    upload = uploads.upload_of(upload_id)
    try:
        plan = uploads.plan_import(uploads.uploaded_rows(upload, currency()))
    except InvalidInput as error:
        return _form(error.fields), 422
    return page("admin/import_preview.html", upload=upload, plan=plan, shown=SHOWN)


@bp.get("/products/imports/<int:upload_id>.csv")
def import_csv(upload_id: int) -> Response:
    """The whole preview as a file, a line a change."""
    plan = uploads.plan_import(uploads.uploaded_rows(uploads.upload_of(upload_id), currency()))
    rows = [
        *((row.line, "new", row.sku, "title", "", row.title) for row in plan.created),
        *(
            (one.row.line, "changed", one.row.sku, change.name, change.before, change.after)
            for one in plan.changed
            for change in one.changes
        ),
        *((error.line, "refused", "", error.field, "", error.message) for error in plan.errors),
    ]
    return csv_answer(f"import-{upload_id}", ("line", "what", "sku", "field", "before", "after"), sorted(rows))


@bp.post("/products/imports/<int:upload_id>/storing")
def store_import(upload_id: int) -> BaseResponse | tuple[str, int]:
    """Store what was shown; when the catalogue has changed since, show it anew instead."""
    upload = uploads.upload_of(upload_id)
    rows = uploads.uploaded_rows(upload, currency())
    plan = uploads.plan_import(rows)
    if upload.stored_at is None and request.form.get("fingerprint") != plan.fingerprint:
        return page("admin/import_preview.html", upload=upload, plan=plan, shown=SHOWN, has_moved=True), 409
    tally = services.store_import(upload, rows, plan, actor(), now())
    flash(f"{tally}. Recsys is told within seconds.".capitalize(), "good")
    return redirect(url_for("admin.products"), 303)


def _posted_file() -> tuple[str, bytes]:
    """Name and content; empty when none came."""
    file = request.files.get("file")
    if file is None:
        return "", b""
    with closing(file):
        return file.filename or "", file.read()


def _form(errors: dict[str, list[str]]) -> str:
    return page(
        "admin/import_new.html", errors=errors, max_rows=uploads.MAX_ROWS, max_mb=uploads.MAX_UPLOAD_BYTES // 10**6
    )
