"""Every slot: what it is anchored on and what stands in when the recommender is away."""

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote_plus


class Anchor(Enum):
    """What a list is about."""

    SHOPPER = "the shopper alone"
    ITEM = "the product in view"
    CART = "what is in the basket"
    RECENT = "what was looked at lately"
    CATEGORY = "a department"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a list. `is_steerable`: shoppers may set a price range and tags on it."""

    name: str
    anchor: Anchor
    is_steerable: bool = False

    @property
    def surface(self) -> str:
        """The page it stands on, as events call it."""
        return self.name.partition(".")[0]

    @property
    def widget(self) -> str:
        """Its name on that page."""
        return self.name.partition(".")[2]

    @property
    def dom_id(self) -> str:
        """The id of its section, the same in the skeleton and in the filled list."""
        return "w-" + self.name.replace(".", "-").replace("_", "-")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a list should know beyond the shopper: product in view, department, price range in major units, tags.

    `elsewhere`: the products that other lists of the page show already; no list repeats them.
    """

    item: str = ""
    category: str = ""
    low: float | None = None
    high: float | None = None
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def is_steered(self) -> bool:
        """The shopper asked for less than everything."""
        return bool(self.low is not None or self.high is not None or self.include_tags or self.exclude_tags)

    @property
    def query(self) -> str:
        """The same as the query of an address, with its question mark; without what stands elsewhere on a page."""
        said = [("item", self.item), ("category", self.category)] if self.item or self.category else []
        if self.is_steered:
            said += [("min", self.plain_min), ("max", self.plain_max)]
            said += [*(("include", tag) for tag in self.include_tags), *(("exclude", tag) for tag in self.exclude_tags)]
        return "?" + "&".join([f"{name}={quote_plus(value)}" for name, value in said if value]) if said else ""

    @property
    def plain_min(self) -> str:
        """The lower price as its field shows it."""
        return "" if self.low is None else f"{self.low:.10g}"

    @property
    def plain_max(self) -> str:
        """The upper price as its field shows it."""
        return "" if self.high is None else f"{self.high:.10g}"


SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("home.top_picks", Anchor.SHOPPER),
        Slot("home.trending", Anchor.SHOPPER),
        Slot("home.recent", Anchor.RECENT),
        Slot("listing.best_sellers", Anchor.CATEGORY, is_steerable=True),
        Slot("pdp.similar", Anchor.ITEM),
        Slot("pdp.bought_together", Anchor.ITEM),
        Slot("cart.also_like", Anchor.CART),
        Slot("order.buy_again", Anchor.SHOPPER),
        Slot("orders.buy_again", Anchor.SHOPPER),
        Slot("search.rescue", Anchor.SHOPPER),
    )
}
