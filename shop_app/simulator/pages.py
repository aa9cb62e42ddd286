"""What a shopper's browser finds on a page: lists with their places, slots still to be fetched, forms, links."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from shop_app.simulator.shoppers import Offer

_NOISE = re.compile(r"<(svg|head|footer)\b.*?</\1>", re.DOTALL)
"""Half of a page by length, and nothing a shopper acts on."""
_PRICE = re.compile(r"(\d[\d,  ]*)(?:\.(\d\d))?")


@dataclass(slots=True)
class Card:
    """A product card: what its `data-` attributes say, and what is read on it."""

    sku: str
    rank: int
    is_recommended: bool
    href: str = ""
    house: str = ""
    title: str = ""
    price: str = ""

    def offer(self, department: str = "") -> Offer:
        """The product without its place."""
        return Offer(self.sku, self.href.partition("?")[0], _minor(self.price), self.house, department)


@dataclass(slots=True)
class Shown:
    """A list on a page with its place, exactly as the tracker would read it."""

    surface: str
    widget: str
    request_id: str = ""
    experiment: str = ""
    bucket: str = ""
    cards: list[Card] = field(default_factory=list)


@dataclass(slots=True)
class Form:
    """A form: where it goes and its hidden fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Page:
    """Everything of a page that matters here. `slots` are addresses of lists that load by themselves."""

    item: str = ""
    surface: str = ""
    lists: list[Shown] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    departments: dict[str, str] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)

    def form(self, action: str) -> Form | None:
        """The first form that posts to `action`."""
        return next((form for form in self.forms if form.action == action), None)


def read_page(html: str) -> Page:
    """Read a page or a fragment."""
    reader = _Reader()
    reader.feed(_NOISE.sub("", html))
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._card: Card | None = None
        self._inside = ""
        self._department = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "hx-get" in values and values["hx-get"].startswith("/w/"):
            self.page.slots.append(values["hx-get"])
        if "data-page-item" in values:
            self.page.item, self.page.surface = values["data-page-item"], values.get("data-surface", "")
        if "data-widget" in values and "data-surface" in values:
            self.page.lists.append(_shown(values))
        if "data-item-id" in values and self.page.lists:
            self._begin_card(values)
        self._note_part(tag, values)

    def _begin_card(self, values: dict[str, str]) -> None:
        rank = values.get("data-rank", "")
        is_recommended = values.get("data-recommended") == "true"
        self._card = Card(values["data-item-id"], int(rank) if rank.isdigit() else 0, is_recommended)
        self._card.href = values.get("href", "")
        self.page.lists[-1].cards.append(self._card)

    def _note_part(self, tag: str, values: dict[str, str]) -> None:
        classes = values.get("class", "").split()
        href = values.get("href", "")
        if tag == "form":
            self.page.forms.append(Form(values.get("action", "")))
        elif tag == "input" and self.page.forms and values.get("type") == "hidden":
            self.page.forms[-1].fields[values.get("name", "")] = values.get("value", "")
        elif tag == "a" and href.startswith("/departments/") and "?" not in href:
            self._department = href
        elif tag == "a" and "page=" in href:
            self.page.pages.add(href)
        elif tag == "a" and self._card and not self._card.href:
            self._card.href, self._inside = href, "title"
        if self._card and "card-brand" in classes:
            self._inside = "house"
        elif self._card and "price" in classes:
            self._inside = "price"

    def handle_data(self, data: str) -> None:
        text = data.strip()
        if self._department and text:
            self.page.departments.setdefault(self._department, text)
        if self._card and self._inside and text and not getattr(self._card, self._inside):
            setattr(self._card, self._inside, text)
            if self._inside != "price" or _PRICE.search(text):
                self._inside = ""
            else:
                self._card.price = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._department = ""
        elif tag == "article":
            self._card, self._inside = None, ""


def _shown(values: dict[str, str]) -> Shown:
    return Shown(
        values["data-surface"],
        values["data-widget"],
        values.get("data-request-id", ""),
        values.get("data-experiment", ""),
        values.get("data-ab-bucket", ""),
    )


def _minor(text: str) -> int:
    """`£1,299.00` in minor units; 0 when it is no price."""
    found = _PRICE.search(text)
    if found is None:
        return 0
    return int(re.sub(r"\D", "", found[1])) * 100 + int(found[2] or 0)
