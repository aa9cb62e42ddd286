"""What the pages of accounts share: the blueprint, the member at the keyboard, entering and leaving."""

import hashlib
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, g, request, session
from flask_login import current_user, login_user, logout_user
from itsdangerous import BadSignature, URLSafeSerializer

from shop_app.accounts import queries
from shop_app.accounts.models import User
from shop_app.accounts.services import Merge, join_consent, merge_anonymous, note_sign_in
from shop_app.accounts.sessions import end_session, start_session
from shop_app.config import Settings
from shop_app.core.ids import new_token
from shop_app.core.shopper import Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import cookie, db, or_zero
from shop_app.tracking.identity import chosen_here, current_shopper, remember_consent, start_new_person

bp = Blueprint("accounts", __name__)

KEPT_AT_SIGN_IN = ("consent", "visit", "recent", "orders")
"""What of the anonymous session is the member's too; everything else of it ends."""
KNOWN_BROWSER = "known_browser"
"""The cookie that tells an account's own browser from a stranger who guesses passwords."""
_KNOWN_BROWSER_SALT = "known-browser"
KNOWN_BROWSER_AGE_S = 180 * 24 * 3600
_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")
_NAMES = {"Edg": "Edge", "OPR": "Opera", "Mac OS": "macOS"}


@bp.app_context_processor
def _header_values() -> dict[str, Any]:
    """What the page frame asks for; read only when called."""
    return {"wishlist_count": lambda: or_zero(lambda: queries.wishlist_count(current_shopper().key))}


def member() -> User:
    """The member at the keyboard; the route has made sure that there is one."""
    user = current_user._get_current_object()  # noqa: SLF001 - flask-login's proxy has no public way to its object
    assert isinstance(user, User)
    return user


def now() -> datetime:
    """The time, by the shop's clock."""
    moment: datetime = current_app.extensions["clock"].now()
    return moment


def settings() -> Settings:
    """The shop's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def enter(user: User, password: str) -> Merge:
    """Sign `user` in: a new session, the anonymous person merged into the member, all in one transaction."""
    at, before, user_id, key = now(), current_shopper(), user.id, user.key
    with unit_of_work(db.session):
        note_sign_in(db.session.get_one(User, user_id), password, device=before.device, now=at)
        choice = join_consent(before.key, key, chosen_here(), at)
        consent = before.consent if _refuses_by_header() else choice
        after = Shopper(key, before.session_id, user_id, consent, device=before.device)
        merge = Merge(is_new=False) if before.is_member else merge_anonymous(before.key, after, at)
        token = start_session(user_id, browser_name(), at)
    kept = {name: session[name] for name in KEPT_AT_SIGN_IN if name in session}
    session.clear()
    session.update(kept, member_session=token)
    session.permanent = True
    login_user(db.session.get_one(User, user_id))
    g.pop("shopper", None)
    if choice.is_decided:
        remember_consent(choice)
    return merge


def _refuses_by_header() -> bool:
    return request.headers.get("Sec-GPC") == "1"


def leave() -> None:
    """Sign out: this browser's session ends, and whoever comes next is a new anonymous person."""
    if current_user.is_authenticated:
        with unit_of_work(db.session):
            end_session(member().id, token=session.get("member_session", "-"), now=now())
    logout_user()
    start_new_person()


def browser_name() -> str:
    """`Firefox on Linux`: enough to recognise a session by, too little to follow anybody."""
    agent = request.user_agent.string
    browser = next((_NAMES.get(name, name) for name in _BROWSERS if name in agent), "A browser")
    system = next((_NAMES.get(name, name) for name in _SYSTEMS if name in agent), "")
    return f"{browser} on {system}" if system else browser


def email_digest(email: str) -> str:
    """A name for an address that may stand in Redis and in cookies."""
    return hashlib.sha256(f"account:{email}".encode()).hexdigest()[:32]


def is_known_browser(email: str) -> str:
    """The browser's own nonce when it has signed in to this account before, else empty."""
    try:
        digest, nonce = signer(_KNOWN_BROWSER_SALT).loads(cookie(KNOWN_BROWSER) or "")
    except (BadSignature, ValueError, TypeError):
        return ""
    return str(nonce) if digest == email_digest(email) else ""


def known_browser_cookie(email: str) -> str:
    """The value that makes this browser known to the account."""
    signed: str = signer(_KNOWN_BROWSER_SALT).dumps([email_digest(email), is_known_browser(email) or new_token()])
    return signed


def signer(salt: str) -> URLSafeSerializer:
    """Signs with the secret, one salt a purpose; what the previous secret signed is still good."""
    keys = [key for key in (settings().secret_key_previous, settings().secret_key) if key]
    return URLSafeSerializer(keys, salt=salt)
