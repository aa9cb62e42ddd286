"""Pages of the catalogue: front page, departments, search, products, pictures."""

import hashlib
import re
from dataclasses import replace
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from shop_app.catalog import listing, queries
from shop_app.catalog.choices import choices, chosen_variant
from shop_app.catalog.demo.deck import house_named
from shop_app.catalog.models import Product
from shop_app.catalog.pictures import VIEWS, HouseStyle, picture_for
from shop_app.catalog.recent import recent_skus, remember_viewed
from shop_app.catalog.schemas import address_args, plain_amount, read_narrowing
from shop_app.catalog.search import search as search_products
from shop_app.core.attribution import parse_attribution
from shop_app.core.errors import NotFound
from shop_app.core.money import Money
from shop_app.extensions import cookie, keep_cookie, limiter
from shop_app.site_settings.queries import shown_slot
from shop_app.tracking.identity import current_shopper

bp = Blueprint("catalog", __name__)

searches = limiter.shared_limit("600 per minute", scope="search")
"""Results and suggestions of one address together: a busy office types less, a scraper of the whole shop more."""

YEAR_S = 31_536_000
HERO_PICTURES = 3
FIRST_PICKS = 8
"""Cards of the list below the hero, which shows a stranger about the same best sellers."""
DEPARTMENT_TILES = 12
"""A real catalogue may have a hundred departments; the rest is behind "All departments"."""
MOST_SUGGESTIONS = 6
THEMES = ("auto", "light", "dark")
HELP_PAGES = ("delivery", "accessibility")
COLOUR = re.compile(r"[a-zA-Z -]{0,30}")
DRAWINGS_KEPT = 3000
"""Drawings held in memory, about 4 kB each."""


@bp.app_context_processor
def _frame_values() -> dict[str, Any]:
    """What every page may ask for; the functions read only when called, so that fragments pay nothing."""
    theme = cookie("theme")
    kept = theme if theme in THEMES else THEMES[0]
    return {"departments": _departments, "asset": _asset, "slot": shown_slot, "theme": kept}


@bp.after_app_request
def _keep_versioned_files(response: Response) -> Response:
    """A file asked for by its version never changes. Nor does a font, and one that is asked for anew comes too late."""
    is_fixed = "v" in request.args or request.path.endswith(".woff2")
    if request.endpoint == "static" and is_fixed and response.status_code in (200, 304):
        response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    return response


@bp.get("/")
def home() -> str:
    """The front page; its widgets load on their own."""
    roots = _departments()
    pictures = queries.department_pictures([root.path for root in roots[:DEPARTMENT_TILES]], _today())
    return render_template(
        "catalog/home.html",
        heroes=_heroes(set(pictures.values())),
        tiles=[(root, pictures[root.path]) for root in roots if root.path in pictures],
        has_recent=bool(recent_skus(current_shopper())),
    )


def _heroes(elsewhere: set[str]) -> list[queries.ProductCard]:
    """Best sellers that the page does not show anyway: neither as a department's picture nor, for a stranger, as picks.

    A small shop shows its best sellers all the same.
    """
    sellers = queries.best_sellers(limit=HERO_PICTURES + FIRST_PICKS + DEPARTMENT_TILES, today=_today())
    unseen = [card for card in sellers[FIRST_PICKS:] if card.picture_url not in elsewhere]
    return (unseen if len(unseen) >= HERO_PICTURES else sellers)[:HERO_PICTURES]


@bp.get("/departments")
def everything() -> str:
    """The whole shop as one listing."""
    return _listing_page("", "Everything", _departments())


@bp.get("/departments/<path:path>")
def department(path: str) -> str:
    """A department's listing; the address is its state."""
    category = queries.department(path)
    return _listing_page(path, category.name, queries.subdepartments(category))


@bp.get("/search")
@searches
def search() -> str:
    """Search results; an empty text asks for one."""
    text = request.args.get("q", "").strip()[:100]
    narrowing = read_narrowing(request.args, _currency())
    found = search_products(text)
    page = listing.narrow(listing.found_rows(found.relevance, _today()), narrowing)
    return render_template(
        "catalog/search.html",
        search_text=text,
        corrected=found.corrected,
        page=page,
        here=_Address("/search", narrowing, text),
        surface="search.results",
    )


@bp.get("/search/suggestions")
@searches
def suggestions() -> str:
    """The dropdown below the search box."""
    text = request.args.get("q", "").strip()[:100]
    found = search_products(text).relevance if len(text) > 1 else {}
    best = sorted(found, key=lambda product_id: (-found[product_id], product_id))[: 3 * MOST_SUGGESTIONS]
    cards = [card for card in queries.cards_by_id(best) if card.stock > 0][:MOST_SUGGESTIONS]
    places = [d for d in _departments() if text and d.name.lower().startswith(text.lower())]
    return render_template("catalog/_suggestions.html", text=text, cards=cards, places=places)


@bp.get("/products/<slug>")
def product(slug: str) -> tuple[str, int]:
    """A product's page; one that is no longer sold says so and offers others."""
    found = queries.product_page(slug)
    if found.status == "discontinued":
        others = queries.best_sellers(limit=4, today=_today(), category_path=found.category.path)
        return render_template("catalog/discontinued.html", product=found, others=others), 410
    remember_viewed(found.sku, current_shopper())
    return render_template("catalog/product.html", **_product_values(found)), 200


@bp.get("/media/products/<sku>.svg")
def picture(sku: str) -> Response:
    """A product's drawn picture, from one of its sides and in one of its colours; kept for good."""
    view, colour = request.args.get("view", VIEWS[0]), request.args.get("colour", "")
    if view not in VIEWS or not COLOUR.fullmatch(colour):
        raise NotFound("There is no such picture.")
    response = Response(_drawn(queries.picture_subject(sku), view, colour), mimetype="image/svg+xml")
    response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    return response


@bp.post("/preferences/theme")
def theme() -> BaseResponse:
    """Light, dark, or as the system says; kept in a cookie that only the server reads."""
    wanted = request.form.get("theme", "")
    if wanted not in THEMES:
        abort(400)
    response = redirect(_own_path(request.form.get("next", "/")), 303)
    keep_cookie(response, "theme", wanted, YEAR_S)
    return response


@bp.get("/help/<name>")
def help_page(name: str) -> str:
    """A page of plain words."""
    if name not in HELP_PAGES:
        raise NotFound("")
    return render_template(f"catalog/help_{name}.html")


@bp.get("/styleguide")
def styleguide() -> str:
    """Every component on one page, for people who build pages; in QA mode only."""
    if not current_app.config["QA_MODE"]:
        raise NotFound("")
    cards = queries.best_sellers(limit=4, today=_today())
    return render_template("catalog/styleguide.html", cards=cards, money=Money(4550, _currency()))


class _Address:
    """The address of a listing and of its neighbours, for links and form fields."""

    def __init__(self, path: str, narrowing: listing.Narrowing, text: str = "") -> None:
        self.path, self.narrowing, self.text = path, narrowing, text
        self.currency = _currency()

    @property
    def sorts(self) -> list[tuple[str, str]]:
        """What the list can be sorted by; the empty value is its own order."""
        own = "Best match" if self.text else "Recommended"
        return [("", own), *((value, text) for value, text in listing.SORTS.items())]

    def page(self, number: int) -> str:
        """The same list, another page."""
        return self._to(replace(self.narrowing, page=number))

    def without(self, name: str, value: str) -> str:
        """The list without one chosen value."""
        return self._to(listing.without(self.narrowing, name, value))

    def without_prices(self) -> str:
        """The list at any price."""
        return self._to(replace(self.narrowing, min_minor=None, max_minor=None, page=1))

    def bare(self) -> str:
        """The list with nothing narrowed."""
        return self._to(listing.Narrowing(sort=self.narrowing.sort))

    def amount(self, minor: int | None) -> str:
        """A price as the fields show it."""
        return "" if minor is None else plain_amount(minor, self.currency)

    def money(self, minor: int) -> str:
        """A price as people read it."""
        return Money(minor, self.currency).text()

    def widget_args(self) -> dict[str, str]:
        """What the listing's widget should respect too."""
        ends = {"min": self.amount(self.narrowing.min_minor), "max": self.amount(self.narrowing.max_minor)}
        return {name: value for name, value in ends.items() if value}

    def _to(self, narrowing: listing.Narrowing) -> str:
        args = address_args(narrowing, self.currency, self.text)
        return f"{self.path}?{urlencode(args, doseq=True)}" if args else self.path


def _listing_page(path: str, name: str, below: list[queries.Department]) -> str:
    narrowing = read_narrowing(request.args, _currency())
    nodes = queries.ancestry(path) if path else [queries.Department("", name)]
    return render_template(
        "catalog/department.html",
        name=name,
        path=path,
        trail=[("Home", url_for(".home")), *((node.name, node.url) for node in nodes)],
        below=below,
        page=listing.narrow(listing.category_rows(path, _today()), narrowing),
        here=_Address(f"/departments/{path}".rstrip("/"), narrowing),
        surface="listing.grid",
    )


def _product_values(found: Product) -> dict[str, Any]:
    variant = chosen_variant(found.variants, request.args.get("variant", ""))
    place = parse_attribution(request.args.get("via"))
    return {
        "product": found,
        "parts": queries.bundle_parts(found),
        "variant": variant,
        "choices": choices(found.variants, variant),
        "price": Money(variant.price_minor, found.currency),
        "was": Money(found.compare_at_minor, found.currency)
        if found.compare_at_minor and found.compare_at_minor > variant.price_minor
        else None,
        "via": place.text() if place else "",
        "pictures": queries.own_pictures(found.image_urls) or _drawings(found.sku, variant.options.get("colour", "")),
        "trail": [
            ("Home", url_for(".home")),
            *((node.name, node.url) for node in queries.ancestry(found.category.path)),
            (found.title, None),
        ],
    }


def _drawings(sku: str, colour: str) -> list[str]:
    """Addresses of the drawn pictures, the main one first."""
    tint: dict[str, Any] = {"colour": colour} if colour else {}
    args: list[dict[str, Any]] = [{"view": view} if view != VIEWS[0] else {} for view in VIEWS]
    return [url_for(".picture", sku=sku, **tint, **arg) for arg in args]


@lru_cache(DRAWINGS_KEPT)
def _drawn(subject: queries.PictureSubject, view: str, colour: str) -> str:
    house = house_named(subject.brand)
    style = HouseStyle(house.colour, house.pattern) if house else None
    shade = colour or subject.colour
    return picture_for(
        subject.title, subject.category, subject.sku, kind=subject.kind, colour=shade, house=style, view=view
    )


def _departments() -> list[queries.Department]:
    """The navigation, read once a request."""
    if "departments" not in g:
        g.departments = queries.departments()
    found: list[queries.Department] = g.departments
    return found


def _asset(name: str) -> str:
    """The address of a static file that changes with its content."""
    return f"/static/{name}?v={_digest(Path(current_app.static_folder or '') / name)}"


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "missing"


def _own_path(target: str) -> str:
    """Only a path of this shop, so that nobody is sent elsewhere."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own else "/"


def _today() -> date:
    today: date = current_app.extensions["clock"].now().date()
    return today


def _currency() -> str:
    currency: str = current_app.extensions["settings"].currency
    return currency
