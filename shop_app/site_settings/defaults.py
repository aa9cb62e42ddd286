"""What every surface does until an admin says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """One slot of a surface. `k` is how many cards it shows; caps of 0 are off; a slot that is off is not rendered."""

    slot: str
    title: str
    k: int = 8
    is_on: bool = True
    brand_cap: int = 0
    category_cap: int = 0
    has_fallback: bool = True
    is_above_fold: bool = False
    experiment: str = ""
    version: int = 0


SLOTS: dict[str, SlotSettings] = {
    s.slot: s
    for s in (
        SlotSettings("home.top_picks", "Picked for you", k=8, is_above_fold=True),
        SlotSettings("home.trending", "What people are loving now", k=8),
        SlotSettings("home.recent", "Because of what you looked at", k=8, has_fallback=False),
        SlotSettings("listing.best_sellers", "Best sellers here", k=6),
        SlotSettings("pdp.similar", "You might also like", k=8),
        SlotSettings("pdp.bought_together", "Goes well with this", k=4),
        SlotSettings("cart.also_like", "You may also like", k=6),
        SlotSettings("order.buy_again", "While you are here", k=6),
        SlotSettings("orders.buy_again", "For your next order", k=6),
        SlotSettings("search.rescue", "Popular right now", k=8),
    )
}
