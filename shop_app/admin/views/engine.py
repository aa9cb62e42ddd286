"""How the recommender counts: weights and half-lives of event types."""

import json

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin import services
from shop_app.admin.forms import parse_event_types
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected

INTENDED = {0: (0.05, 3), 1: (0.2, 7), 2: (0.7, 21), 3: (1.0, 60), 4: (0.1, 3)}
"""Weight and half-life in days that the shop was planned with (RS-054, RS-055)."""


@bp.get("/event-types")
def event_types() -> tuple[str, int]:
    """The table with its form."""
    return _form({}, {})


@bp.post("/event-types")
def change_event_types() -> Response | tuple[str, int]:
    """Save weights and half-lives at the recommender."""
    try:
        types = parse_event_types(request.form, gateway().event_types())
        seen = json.loads(request.form.get("seen", "[]"))
        with unit_of_work(db.session):
            services.change_event_types(gateway(), types, seen, actor(), now())
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.fields, 422)
    except (Conflict, json.JSONDecodeError):
        flash("Somebody changed the weights meanwhile. Below is what counts now; yours were not saved.", "bad")
        return _form({}, {}, 409)
    except RecsysRejected as error:
        return _form(request.form.to_dict(), {"weight_0": [error.message]}, 422)
    flash("Saved. The next list is ranked with these weights.", "good")
    return redirect(url_for("admin.event_types"), 303)


def _form(typed: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> tuple[str, int]:
    try:
        types = gateway().event_types()
    except RecsysError as error:
        return page("admin/unreachable.html", what="The event weights", error=str(error)), 503
    seen = json.dumps(services.described(types))
    return (
        page("admin/event_types.html", types=types, seen=seen, typed=typed, errors=errors, intended=INTENDED),
        status,
    )
