"""What somebody should look at."""

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response

from shop_app.admin.queries.audit import names_of
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.analytics import alerts as watch
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings.services import audit


@bp.get("/alerts")
def alerts() -> str:
    """Open ones first."""
    shown = watch.alerts(now())
    return page("admin/alerts.html", alerts=shown, names=names_of({one.acknowledged_by for one in shown}))


@bp.post("/alerts/<int:alert_id>/acknowledgement")
def acknowledge_alert(alert_id: int) -> Response:
    """Take one on."""
    with unit_of_work(db.session):
        alert = watch.acknowledge(alert_id, actor(), now())
        audit(actor=actor(), action="alerts.acknowledge", subject=alert.fingerprint, now=now())
    flash("It is yours. It closes by itself when the cause is gone.", "good")
    return redirect(url_for("admin.alerts"), 303)
