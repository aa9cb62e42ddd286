"""The composition root: the only place that knows every room."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from flask import Flask, Request, Response, current_app, jsonify, render_template, request, session
from flask.cli import AppGroup
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_wtf.csrf import CSRFError
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from shop_app import health, qa
from shop_app.accounts import views as accounts
from shop_app.accounts.models import User
from shop_app.accounts.sessions import is_live
from shop_app.admin import views as admin
from shop_app.analytics import models as _analytics_models  # noqa: F401  (tables of the schema)
from shop_app.cart import views as cart
from shop_app.catalog import views as catalog
from shop_app.config import Settings
from shop_app.core.clock import Clock, SystemClock
from shop_app.core.errors import Conflict, Forbidden, Gone, InvalidInput, NotFound, OutOfStock, ShopError
from shop_app.experiments import models as _experiments_models  # noqa: F401  (tables of the schema)
from shop_app.extensions import Migrations, csrf, db, htmx, limiter, login_manager
from shop_app.jobs.alarm import Alarm
from shop_app.orders import views as orders
from shop_app.orders.sandbox import SandboxProvider
from shop_app.outbox import models as _outbox_models  # noqa: F401  (its table belongs to the schema)
from shop_app.privacy import views as privacy
from shop_app.recsys.embedded import EmbeddedGateway
from shop_app.recsys.gateway import RecsysGateway
from shop_app.recsys.meter import Meter, count_calls
from shop_app.site_settings import models as _site_settings_models  # noqa: F401  (as above)
from shop_app.sqlite import prepare_sqlite
from shop_app.sync import models as _sync_models  # noqa: F401  (as above)
from shop_app.tracking import views as tracking
from shop_app.tracking.identity import current_shopper
from shop_app.widgets import views as widgets
from shop_app.widgets.memory import AnswerMemory

log = logging.getLogger(__name__)

STATUS = {InvalidInput: 400, Forbidden: 403, NotFound: 404, Conflict: 409, OutOfStock: 409, Gone: 410}
"""The one table from our errors to HTTP."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
SIGNED_ENDPOINTS = frozenset({"orders.webhook"})
"""Written to by machines that sign what they send instead of holding a session."""

POLICY = (
    "default-src 'self'; "
    "img-src 'self' data:; "
    "object-src 'none'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'; "
).rstrip("; ")

FILES = frozenset({"static", "catalog.picture"})


class _Commands(AppGroup):
    """The shop's commands, imported when one is asked for: a web process does without the importers."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._import()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._import()
        return super().get_command(ctx, cmd_name)

    def _import(self) -> None:
        if "prepare" not in self.commands:
            from shop_app import cli  # noqa: PLC0415 - a second of CPU that no web process needs

            cli.register(self)


class _RowNumber(IntegerConverter):
    """`<int:…>` in an address is the id of a row. PostgreSQL fails on a number too large for one: no such page."""

    def __init__(self, *arguments: Any, **bounds: Any) -> None:
        super().__init__(*arguments, **{"max": 2**31 - 1, **bounds})


class _Sessions(SecureCookieSessionInterface):
    """Files have no session: without this they would vary by cookie, and be fetched again after every change of it."""

    def __init__(self) -> None:
        self._serializer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made once: the secrets of a running process do not change."""
        if self._serializer is None:
            self._serializer = super().get_signing_serializer(app)
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """While a secret is being rotated, a cookie of the old one is signed anew, so that it outlives the old one."""
        session = super().open_session(app, request)
        if session and app.config["SECRET_KEY_FALLBACKS"] and not self._is_of_the_new_secret(app, request):
            session.modified = True
        return session

    def _is_of_the_new_secret(self, app: Flask, request: Request) -> bool:
        serializer = super().get_signing_serializer(app)
        assert serializer is not None
        serializer.secret_keys = serializer.secret_keys[-1:]
        is_fine, _ = serializer.loads_unsafe(request.cookies.get(self.get_cookie_name(app), ""))
        return bool(is_fine)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if request.endpoint not in FILES:
            super().save_session(app, session, response)


def create_app(settings: Settings, *, clock: Clock | None = None, gateway: Any = None) -> Flask:
    """Build the shop. `clock` and `gateway` are replaced in tests; by default they are the real ones."""
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.cli = _Commands(app.name)
    app.config.from_mapping(_flask_config(settings))
    app.extensions["settings"] = settings
    app.extensions["clock"] = clock or SystemClock()
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.session_interface = _Sessions()
    app.url_map.converters["int"] = _RowNumber
    _bind_extensions(app)
    app.extensions["payments"] = SandboxProvider(settings.secret_key)
    app.extensions["meter"] = Meter(app.extensions["clock"])
    app.extensions["recsys"] = gateway or _gateway(settings, app.extensions["clock"])
    app.extensions["answers"] = AnswerMemory(timedelta(seconds=settings.recsys_repeat_s))
    count_calls(app.extensions["recsys"], app.extensions["meter"])
    app.extensions["alarm"] = Alarm(settings.redis_url)
    for room in (catalog, cart, accounts, orders, tracking, widgets, privacy, admin, health):
        app.register_blueprint(room.bp)
    if settings.qa_mode:
        qa.register(app)
    app.before_request(_refuse_foreign_pages)
    app.before_request(_refuse_nul)
    app.after_request(_harden)
    app.after_request(_wake_workers)
    app.context_processor(_template_values)
    _handle_errors(app)
    return app


def _gateway(settings: Settings, clock: Clock) -> RecsysGateway:
    """The remote engine when its address is set, else the engine in this process over its own database."""
    if settings.recsys_base_url:
        from shop_app.recsys.remote import RemoteGateway  # noqa: PLC0415 - requests, for shops with a remote engine only

        return RemoteGateway(
            settings.recsys_base_url,
            settings.recsys_org_id,
            settings.recsys_namespace,
            settings.recsys_api_key or None,
            server=settings.recsys_dialect,
        )
    url = _absolute_sqlite(settings.recsys_database_url)
    folder = Path(settings.var_dir).absolute() / "models"
    return EmbeddedGateway(
        url,
        settings.recsys_org_id,
        settings.recsys_namespace,
        clock.now,
        model_folder=folder,
        decision_days=settings.recsys_decision_days,
    )


def _flask_config(settings: Settings) -> dict[str, Any]:
    prefix = "__Host-" if settings.cookie_secure else ""
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": [settings.secret_key_previous] if settings.secret_key_previous else None,
        "WTF_CSRF_SECRET_KEY": [key for key in (settings.secret_key_previous, settings.secret_key) if key],
        "SQLALCHEMY_DATABASE_URI": _absolute_sqlite(settings.database_url),
        "SESSION_COOKIE_NAME": f"{prefix}shop",
        "SESSION_COOKIE_SECURE": settings.cookie_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(days=180),
        "SESSION_REFRESH_EACH_REQUEST": False,  # the visit's time is written once a minute, which renews the cookie
        "WTF_CSRF_TIME_LIMIT": None,
        "QA_MODE": settings.qa_mode,
        "RATELIMIT_ENABLED": settings.rate_limits,
        "RATELIMIT_STORAGE_URI": _limiter_storage(settings.redis_url),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "MAX_CONTENT_LENGTH": 5 * 1024 * 1024,
    }


def _absolute_sqlite(url: str) -> str:
    """SQLite paths are relative to where the shop is started, not to Flask's instance folder."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return url
    path = Path(parsed.database).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(database=str(path)).render_as_string(hide_password=False)


def _limiter_storage(redis_url: str) -> str:
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url


def _bind_extensions(app: Flask) -> None:
    db.init_app(app)
    with app.app_context():
        prepare_sqlite(db.engine)
        _plan_plainly(db.engine)
    Migrations(app, str(Path(__file__).parent / "migrations"))
    csrf.init_app(app)
    htmx.init_app(app)
    limiter.init_app(app)
    login_manager.init_app(app)
    login_manager.user_loader(_load_user)
    login_manager.login_view = "accounts.sign_in"
    login_manager.login_message = "Please sign in first."


def _plan_plainly(engine: Engine) -> None:
    """Turn off PostgreSQL's compiling of plans: the console's sums take it longer to compile than to run."""
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _without_compiling)


def _without_compiling(connection: Any, _record: Any) -> None:
    connection.execute("SET jit = off")
    connection.commit()  # or the first rollback takes it back


def _load_user(user_id: str) -> User | None:
    """`user_id` is `<id>.<epoch>`: raising a member's epoch signs out every browser, ending a session only one."""
    number, _, epoch = user_id.partition(".")
    user = db.session.get(User, int(number)) if number.isdigit() else None
    if user is None or str(user.session_epoch) != epoch:
        return None
    token = session.get("member_session")
    return user if token is None or is_live(user.id, token) else None


def _wake_workers(response: Response) -> Response:
    """What a request changed is sent at once; after the answer has left, so that nobody waits for Redis."""
    if request.method == "POST" and response.status_code < 400:
        response.call_on_close(current_app.extensions["alarm"].ring)
    return response


def _refuse_foreign_pages() -> None:
    """Beside the token: a browser says which site a write comes from, and another site's page may not write here."""
    if request.method in SAFE_METHODS or request.endpoint in SIGNED_ENDPOINTS:
        return
    origin = request.headers.get("Origin")
    is_foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if is_foreign or (origin is not None and urlsplit(origin).netloc != request.host):
        raise Forbidden("This came from a page that is not ours.")


def _refuse_nul() -> None:
    """No name, word or number holds U+0000, and PostgreSQL stores none: nobody lives at such an address."""
    if "\0" in request.path:
        raise NotFound("There is no such page.")
    is_form = request.mimetype in FORMS  # any other body is for its view to read, under a limit of its own
    if b"%00" in request.query_string or (is_form and any("\0" in value for value in request.form.values())):
        raise InvalidInput({"request": ["holds a character that no text has (U+0000)"]})


def _harden(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), interest-cohort=()")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if response.mimetype == "text/html":
        headers.add("Vary", "HX-Request")
        headers.setdefault("Cache-Control", "private, no-store")
    return response


def _template_values() -> dict[str, Any]:
    settings: Settings = current_app.extensions["settings"]
    return {"shop_name": settings.shop_name, "shopper": current_shopper(), "public_url": settings.public_url}


def _handle_errors(app: Flask) -> None:
    app.register_error_handler(ShopError, _shop_error)
    app.register_error_handler(
        CSRFError, lambda e: _error_page(400, "This form has expired. Go back and try again.", e)
    )
    app.register_error_handler(HTTPException, lambda e: _error_page(e.code or 500, "", e))
    app.register_error_handler(Exception, _unexpected)


def _shop_error(error: ShopError) -> tuple[Response | str, int]:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    return _error_page(status, str(error), error)


def _unexpected(error: Exception) -> tuple[Response | str, int]:
    db.session.rollback()
    log.error("request_failed", extra={"path": request.path}, exc_info=error)
    return _error_page(500, "", error)


def _error_page(status: int, message: str, error: Exception) -> tuple[Response | str, int]:
    """JSON for those who ask for it, a page for everybody else. No error text of ours reaches a 500 page."""
    if request.accept_mimetypes.best == "application/json":
        fields = error.fields if isinstance(error, InvalidInput) else {}
        return jsonify(error=type(error).__name__, message=message, fields=fields), status
    return render_template("errors/page.html", status=status, message=message), status
