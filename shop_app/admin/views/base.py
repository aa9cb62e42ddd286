"""What every page of the console shares: the guard at the door, the frame, paging."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from shop_app.accounts.models import User
from shop_app.accounts.passwords import is_correct
from shop_app.admin.formats import FILTERS, safe_cell
from shop_app.admin.permissions import RULES, may, may_open
from shop_app.analytics.period import PRESETS, Period, last_days
from shop_app.core.errors import Forbidden
from shop_app.extensions import limiter, login_manager
from shop_app.recsys.gateway import RecsysGateway

CONFIRMATION_LASTS = timedelta(minutes=10)
"""After typing the password again, dangerous actions are open for this long."""
TRIES = "5 per minute"
"""How often a password may be typed."""

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.record_once(lambda state: state.app.jinja_env.filters.update(FILTERS))


@dataclass(frozen=True, slots=True)
class NavLink:
    """A line of the side navigation. `family` are the endpoints during which it is marked as current."""

    endpoint: str
    text: str
    family: tuple[str, ...] = ()


NAVIGATION: tuple[tuple[str, tuple[NavLink, ...]], ...] = (
    (
        "See",
        (
            NavLink("admin.overview", "Overview"),
            NavLink("admin.live_page", "Live"),
            NavLink("admin.funnel_page", "Surfaces and funnel"),
            NavLink("admin.attribution_page", "Attribution"),
            NavLink("admin.guardrails_page", "Guardrails", ("admin.regrets", "admin.change_regret")),
            NavLink("admin.preview", "Why this list?"),
            NavLink("admin.events", "Events", ("admin.event", "admin.answer")),
        ),
    ),
    (
        "Change",
        (
            NavLink("admin.products", "Products", ("admin.product", "admin.catalogue_import", "admin.import_preview")),
            NavLink("admin.feature_flags", "Feature flags"),
            NavLink("admin.slots", "Surfaces and slots", ("admin.slot",)),
            NavLink("admin.rules", "Rules"),
            NavLink("admin.overrides", "Overrides"),
            NavLink("admin.segments", "Segments", ("admin.segment", "admin.profile")),
            NavLink("admin.similarity", "Similar products"),
            NavLink("admin.ranking", "Ranking", ("admin.change_ranking", "admin.restore_ranking")),
            NavLink("admin.event_types", "Event weights"),
        ),
    ),
    (
        "Prove",
        (
            NavLink("admin.experiments", "Experiments", ("admin.experiment", "admin.new_experiment")),
            NavLink("admin.bandits", "Bandits", ("admin.policies", "admin.policy")),
            NavLink("admin.lab", "Counterfactual lab", ("admin.lab_study", "admin.ask_lab")),
            NavLink("admin.evaluations", "Offline evaluation", ("admin.evaluation",)),
        ),
    ),
    (
        "Serve",
        (
            NavLink("admin.orders", "Orders", ("admin.order",)),
            NavLink("admin.people", "Members", ("admin.person", "admin.letters")),
        ),
    ),
    (
        "Operate",
        (
            NavLink("admin.alerts", "Alerts"),
            NavLink("admin.service_levels", "Service levels"),
            NavLink("admin.costs_page", "Costs"),
            NavLink("admin.delivery", "Delivery to Recsys", ("admin.delivery_bounds",)),
            NavLink("admin.differences", "Catalogue differences"),
            NavLink("admin.dead_letters", "Dead letters"),
            NavLink("admin.audit_trail", "Audit trail"),
        ),
    ),
)


@bp.before_request
def guard() -> BaseResponse | tuple[str, int] | None:
    """Nobody gets past without the right their page asks for; dangerous posts need the password again."""
    if not current_user.is_authenticated:
        return login_manager.unauthorized()  # type: ignore[no-any-return]
    rule = RULES.get(request.endpoint or "")
    if rule is None or not may(current_user.role, rule.right):
        raise Forbidden("Your role does not allow this.")
    if rule.is_dangerous and request.method == "POST" and not _has_confirmed():
        return page("admin/confirm.html", fields=_posted_fields(), is_wrong="confirm_password" in request.form), 403
    return None


@bp.after_request
def stay_private(response: Response) -> Response:
    """No page of the console is kept anywhere or indexed."""
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def page(template: str, **values: Any) -> str:
    """Render a page in the console's frame."""
    return render_template(
        template, navigation=_navigation(), may_open=_may_open, currency=currency(), me=member(), **values
    )


def member() -> User:
    """The member of staff at the keyboard."""
    user = current_user._get_current_object()  # noqa: SLF001 - flask-login's proxy has no public way to its object
    assert isinstance(user, User)
    return user


def actor() -> str:
    """Who is named in the audit trail: the opaque key, never the e-mail address."""
    return member().key


def now() -> datetime:
    """The time, by the shop's clock."""
    moment: datetime = current_app.extensions["clock"].now()
    return moment


def gateway() -> RecsysGateway:
    """The recommender."""
    port: RecsysGateway = current_app.extensions["recsys"]
    return port


def currency() -> str:
    """The shop's currency."""
    code: str = current_app.extensions["settings"].currency
    return code


def here(**changes: Any) -> str:
    """This page's address with some parameters of the query changed; None removes one."""
    query = {**request.args.to_dict(), **changes}
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return url_for(request.endpoint or "admin.overview", **{**(request.view_args or {}), **kept})


def period_links(today: datetime) -> list[tuple[str, str, Period]]:
    """The preset periods as (text, address, period)."""
    found = []
    for days, text in PRESETS:
        preset = last_days(days, today.date())
        found.append((text, here(**{"from": preset.first.isoformat(), "to": preset.last.isoformat()}), preset))
    return found


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A spreadsheet file whose cells no spreadsheet runs as formulas."""
    lines = [_csv_line(header), *(_csv_line(row) for row in rows)]
    response = Response("\ufeff" + "".join(lines), mimetype="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _csv_line(cells: Sequence[object]) -> str:
    return ",".join('"' + safe_cell(cell).replace('"', '""') + '"' for cell in cells) + "\r\n"


def _navigation() -> list[tuple[str, list[tuple[NavLink, bool]]]]:
    """Only what this person may open; the second value marks where they are."""
    groups = []
    for title, links in NAVIGATION:
        shown = [
            (link, request.endpoint in (link.endpoint, *link.family)) for link in links if _may_open(link.endpoint)
        ]
        if shown:
            groups.append((title, shown))
    return groups


def _may_open(endpoint: str) -> bool:
    return may_open(member().role, endpoint)


def _has_confirmed() -> bool:
    confirmed_at = session.get("confirmed_at", 0.0)
    if 0 <= now().timestamp() - confirmed_at <= CONFIRMATION_LASTS.total_seconds():
        return True
    typed = request.form.get("confirm_password")
    if typed is None:
        return False
    with limiter.limit(TRIES):
        fits = is_correct(member().password_hash, typed)
    if fits:
        session["confirmed_at"] = now().timestamp()
    return fits


def _posted_fields() -> list[tuple[str, str]]:
    own = ("csrf_token", "confirm_password")
    return [(name, value) for name, value in request.form.items(multi=True) if name not in own]
