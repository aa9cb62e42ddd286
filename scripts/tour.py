"""Every page of the shop and every state worth looking at, visited in one browser tab, one after the other.

Photographs and accessibility checks walk the same tours. A tour yields the name of
each state as soon as the tab shows it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, Route, expect
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, selectinload

from scripts.local_shop import LocalShop
from shop_app.catalog.demo.logins import LOGINS
from shop_app.catalog.models import Product

MEMBER, _, OWNER = LOGINS
QUIET = "() => !document.querySelector('[hx-trigger^=load][data-widget-state=loading]')"
FILLED = """() => !document.querySelector('[data-widget-state=loading]')
  && [...document.images].every(image => image.complete || image.closest('.carousel, .widget-hidden'))"""
SCROLL = """top => new Promise(done => {
  scrollTo({top, behavior: 'instant'});
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""


@dataclass(frozen=True, slots=True)
class Examples:
    """Addresses of products that show something particular."""

    plain: str
    choices: str
    sold_out: str
    discontinued: str
    department: str


@dataclass(frozen=True, slots=True)
class Tour:
    """A tab that walks through a running shop."""

    page: Page
    shop: LocalShop
    examples: Examples

    def go(self, path: str) -> None:
        """Open a page and wait for the lists above the fold."""
        self.page.goto(self.shop.url + path)
        self.page.wait_for_function(QUIET)

    def see_everything(self) -> None:
        """Scroll down by screens so that every list and picture loads, and back up."""
        page = self.page
        for top in range(0, page.evaluate("() => document.body.scrollHeight"), 600):
            page.evaluate(SCROLL, top)
        page.wait_for_function(FILLED)
        page.evaluate(SCROLL, 0)

    def press(self, name: str) -> None:
        """Press that button of a form and wait for the page that comes."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).first.click()

    def add_to_basket(self) -> None:
        """Press the button of a product page and go on to the basket."""
        self.page.get_by_role("button", name="Add to basket").click()
        with self.page.expect_navigation():
            self.page.get_by_role("link", name="View basket").click()

    def disturb(self, mode: str) -> None:
        """Switch the recommender: normal, slow, failed or empty."""
        self.page.request.post(f"{self.shop.url}/__qa__/recsys", data={"mode": mode})


def find_examples(shop: LocalShop) -> Examples:
    """Look for them in the shop's database."""
    engine = create_engine(shop.env["DATABASE_URL"])
    with Session(engine) as session:
        everything = select(Product).options(selectinload(Product.variants), selectinload(Product.category))
        products = list(session.scalars(everything.order_by(Product.id)))
    sold = [product for product in products if product.status == "active"]
    return Examples(
        plain=_first(sold, lambda p: p.stock > 5 and len(p.variants) == 1 and not p.is_bundle),
        choices=_first(sold, lambda p: p.stock > 5 and len(p.variants) > 2),
        sold_out=_first(sold, lambda p: p.stock == 0),
        discontinued=_first(products, lambda p: p.status == "discontinued"),
        department="/departments/" + sold[0].category.path.split("/", 1)[0],
    )


def front(tour: Tour) -> Iterator[str]:
    """What a stranger sees before putting anything in the basket."""
    tour.go("/")
    yield "home-first-visit"
    tour.press("Accept all")
    tour.go("/")
    tour.see_everything()
    yield "home"
    top_picks = tour.page.locator("#w-home-top-picks")
    top_picks.get_by_role("button", name="Not for me").click()
    expect(top_picks.get_by_text("Here are others.")).to_be_focused()
    tour.see_everything()
    yield "home-turned-away"
    yield from _lists_in_trouble(tour)
    yield from _listings(tour)
    yield from _searches(tour)
    yield from _products(tour)
    for name, path in {
        "consent": "/consent",
        "sign-in": "/sign-in",
        "forgotten-password": "/sign-in/reset",
        "sign-up": "/sign-up",
        "wishlist-empty": "/wishlist",
        "orders-empty": "/orders",
        "basket-empty": "/cart",
        "not-found": "/nowhere",
        "help-delivery": "/help/delivery",
        "help-accessibility": "/help/accessibility",
        "styleguide": "/styleguide",
        "list-page": "/recommendations/listing.best_sellers",
    }.items():
        tour.go(path)
        tour.see_everything()
        yield name


def purchase(tour: Tour) -> Iterator[str]:
    """From the product to the confirmation, with every way it can go wrong."""
    page = tour.page
    tour.go(tour.examples.choices)
    tour.press("Accept all")
    tour.press("Add to wishlist")
    tour.go("/wishlist")
    yield "wishlist"
    for product in (tour.examples.choices, tour.examples.plain):
        tour.go(product)
        tour.add_to_basket()
    tour.see_everything()
    yield "basket"
    tour.go("/checkout")
    yield "checkout"
    page.locator("#checkout").evaluate("form => { form.noValidate = true }")
    tour.press("Pay and place the order")
    expect(page.locator(".errors, [aria-invalid]").first).to_be_visible()
    yield "checkout-errors"
    yield from _payments(tour)
    tour.go("/checkout")
    pay_with(page, "Test card that pays")
    page.wait_for_url("**/orders/**")
    tour.see_everything()
    yield "order-placed"
    tour.go("/orders")
    tour.see_everything()
    yield "orders"
    page.get_by_role("heading", level=2).get_by_role("link").first.click()
    yield "order"


def account(tour: Tour) -> Iterator[str]:
    """The pages of a member."""
    page = tour.page
    tour.go("/sign-in")
    page.get_by_label("E-mail").fill(MEMBER[0])
    page.get_by_label("Password", exact=True).fill("not this one")
    tour.press("Sign in")
    yield "sign-in-refused"
    sign_in(tour, MEMBER)
    if page.get_by_role("button", name="Accept all").count():
        tour.press("Accept all")
    for path in ("", "/addresses", "/profile", "/security", "/two-step"):
        tour.go(f"/account{path}")
        yield f"account{path.replace('/', '-')}"
    tour.go("/orders")
    tour.see_everything()
    yield "orders-of-member"
    tour.go("/")
    tour.see_everything()
    yield "home-of-member"


def console(tour: Tour) -> Iterator[str]:
    """Every page of the console, and the first detail page behind each list."""
    page = tour.page
    sign_in(tour, OWNER)
    tour.go("/admin/")
    pages = page.locator("nav[aria-label=Console] a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    for path in pages:
        tour.go(path)
        name = "console-" + (path.strip("/").removeprefix("admin").strip("/") or "overview")
        yield name
        details = page.locator(f"main a[href^='{path}/']").filter(visible=True)
        if path != "/admin/" and details.count():
            details.first.click()
            page.wait_for_load_state()
            yield f"{name}-one"
    tour.go("/admin/experiments/new")
    yield "console-experiments-new"


TOURS: dict[str, Callable[[Tour], Iterator[str]]] = {
    "front": front,
    "purchase": purchase,
    "account": account,
    "console": console,
}


def sign_in(tour: Tour, who: tuple[str, str, str, str]) -> None:
    """Through the form, like anybody."""
    tour.go("/sign-in")
    tour.page.get_by_label("E-mail").fill(who[0])
    tour.page.get_by_label("Password", exact=True).fill(who[1])
    tour.press("Sign in")
    expect(tour.page.get_by_role("heading", level=1)).not_to_have_text("Sign in")


def pay_with(page: Page, card: str) -> None:
    """Fill the checkout as somebody in London, choose a card and press the button."""
    fields = {
        "E-mail": "ada@example.com",
        "Full name": "Ada Byron",
        "Street and number": "12 St James Square",
        "Town or city": "London",
        "Postcode": "SW1Y 4JH",
    }
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_label(card, exact=True).check()
    page.get_by_role("button", name="Pay and place the order").click()


def _lists_in_trouble(tour: Tour) -> Iterator[str]:
    for mode in ("failed", "empty"):
        tour.disturb(mode)
        tour.go("/")
        tour.see_everything()
        yield f"home-recommender-{mode}"
    tour.disturb("normal")
    held: list[Route] = []
    tour.page.route("**/w/**", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks the handler it gets
    with tour.page.expect_request("**/w/**"):
        tour.page.goto(tour.shop.url + "/")
    yield "home-lists-loading"
    for route in held:
        route.abort()
    expect(tour.page.locator(".widget-failed").first).to_be_visible()
    yield "home-lists-unreachable"
    tour.page.unroute("**/w/**")


def _listings(tour: Tour) -> Iterator[str]:
    department = tour.examples.department
    tour.go(department)
    tour.see_everything()
    yield "listing"
    tour.page.get_by_text("Narrow these picks").click()
    yield "listing-steering"
    tour.go(f"{department}?max=40&sort=price")
    yield "listing-narrowed"
    if tour.page.locator(".filters-toggle > summary").is_visible():
        tour.page.locator(".filters-toggle > summary").click()
        yield "listing-filters-open"
    tour.go(f"{department}?min=99999")
    yield "listing-nothing-fits"
    tour.go("/departments?page=2")
    yield "everything-second-page"
    tour.page.locator(".site-nav summary").click()
    yield "departments-menu"


def _searches(tour: Tour) -> Iterator[str]:
    box = tour.page.get_by_label("Search the shop")
    tour.go("/")
    box.press_sequentially("teapot")
    tour.page.locator("#suggestions [role=option]").first.wait_for()
    yield "search-suggestions"
    for name, text in {
        "search": "teapot",
        "search-typo": "teapto",
        "search-nothing": "zzqx",
        "search-start": "",
    }.items():
        tour.go(f"/search?q={text}")
        tour.see_everything()
        yield name


def _products(tour: Tour) -> Iterator[str]:
    for name in ("plain", "choices", "sold_out", "discontinued"):
        tour.go(getattr(tour.examples, name))
        tour.see_everything()
        yield f"product-{name.replace('_', '-')}"


def _payments(tour: Tour) -> Iterator[str]:
    page = tour.page
    tour.go("/checkout")
    pay_with(page, "Test card without money")
    expect(page.get_by_role("alert").first).to_be_visible()
    yield "payment-declined"
    pay_with(page, "Test card that asks for a second step")
    page.get_by_role("heading", name="Is this you?").wait_for()
    yield "payment-second-step"
    tour.press("Refuse")
    yield "payment-refused"
    tour.go("/checkout")
    pay_with(page, "Test card whose bank answers late, and refuses")
    page.get_by_text("We are waiting for your bank").wait_for()
    yield "payment-waiting"
    page.wait_for_url("**/checkout")
    yield "payment-refused-late"


def _first(products: list[Product], fits: Callable[[Product], Any]) -> str:
    return "/products/" + next(product.slug for product in products if fits(product))
