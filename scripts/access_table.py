"""Who may open what: the tables the access tests hold every route to, and docs/access.md made from them.

`python -m scripts.access_table --write` keeps the page. A route that is in no table fails the tests.
"""

import sys
import tempfile
from pathlib import Path

from flask import Flask

from shop_app.accounts.models import STAFF_ROLES
from shop_app.admin.permissions import GRANTS, RULES, may_open
from shop_app.app import create_app
from shop_app.config import load_settings

PAGE = Path(__file__).parent.parent / "docs" / "access.md"
NOBODY, SHOPPER = "nobody", "shopper"
ROLES = (NOBODY, SHOPPER, *STAFF_ROLES)
PUBLIC = {
    "static", "health.alive", "health.ready",
    "catalog.home", "catalog.everything", "catalog.department", "catalog.search", "catalog.suggestions",
    "catalog.product", "catalog.picture", "catalog.help_page", "catalog.styleguide", "catalog.theme",
    "widgets.slot", "widgets.page", "widgets.complain", "widgets.complain_in_place",
    "widgets.take_back", "widgets.take_back_in_place",
    "tracking.take_events", "tracking.consent_page", "tracking.choose_consent",
    "cart.show", "cart.summary", "cart.add", "cart.change", "cart.prices",
    "orders.checkout", "orders.submit", "orders.payment", "orders.check_payment", "orders.sandbox_challenge",
    "orders.answer_sandbox", "orders.webhook", "orders.index", "orders.show",
    "accounts.sign_in", "accounts.start_session", "accounts.check_code",
    "accounts.sign_up_page", "accounts.create_account", "accounts.end_session",
    "accounts.reset_page", "accounts.ask_for_link", "accounts.open_link", "accounts.new_password_page",
    "accounts.set_new_password", "accounts.show_wishlist", "accounts.add_wish", "accounts.remove_wish",
    "privacy.overview",
}  # fmt: skip
MEMBERS = {
    "accounts.overview", "accounts.profile", "accounts.change_profile", "accounts.addresses", "accounts.add_address",
    "accounts.show_address", "accounts.change_address", "accounts.remove_address", "accounts.security",
    "accounts.change_password", "accounts.end_one_session", "accounts.end_other_sessions", "accounts.two_step_page",
    "accounts.enrol", "accounts.disenrol", "privacy.data", "privacy.take_along", "privacy.forget_me",
}  # fmt: skip
HALF_WAY = {"accounts.second_step"}
"""Only for somebody whose password was right a moment ago; all others are sent to the beginning."""
WITHOUT_TOKEN = {"tracking.take_events", "orders.webhook"}
"""A beacon proves its origin and a webhook its signature."""
SHOWN = {"open": "yes", "sign in": "signs in first", "password again": "yes, password again", "forbidden": "–"}
HEAD = """# Who may open what

Made from the routes and their tables by `python -m scripts.access_table --write`; the access tests ask every route as
every role and compare. *signs in first*: sent to the sign-in page. *password again*: asked for the password before
anything changes. The beacon proves its origin and the webhook its signature, so both are closed to a plain request.
Every write but these two carries a token of its own session.
"""


def main() -> int:
    """Print the page; `--write` keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"SECRET_KEY": "k" * 32, "DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3", "VAR_DIR": folder}
        text = page(create_app(load_settings({**env, "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3"})))
    if "--write" in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


def page(shop: Flask) -> str:
    """The matrix of a shop as Markdown."""
    lines = [HEAD, "## Rights of the roles", "", "| role | may |", "| --- | --- |"]
    lines += [f"| {role} | {'; '.join(sorted(GRANTS[role]))} |" for role in STAFF_ROLES]
    lines += ["", "## Routes", "", f"| route | {' | '.join(ROLES)} |", f"| --- |{' --- |' * len(ROLES)}"]
    for rule in sorted(shop.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            cells = [SHOWN[expected(rule.endpoint, method, role)] for role in ROLES]
            lines.append(f"| {method} `{rule.rule}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def expected(endpoint: str, method: str, role: str) -> str:
    """What a role gets from a route: open, sign in, password again, forbidden."""
    if endpoint in HALF_WAY:
        return "sign in"
    if endpoint in PUBLIC:
        return "forbidden" if endpoint in WITHOUT_TOKEN else "open"
    if endpoint not in MEMBERS and endpoint not in RULES:
        return "a decision: put the route into a table"
    if role == NOBODY:
        return "sign in"
    if endpoint in MEMBERS:
        return "open"
    if not may_open(role, endpoint):
        return "forbidden"
    return "password again" if RULES[endpoint].is_dangerous and method == "POST" else "open"


if __name__ == "__main__":
    sys.exit(main())
