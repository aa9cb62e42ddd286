"""Filling a slot: ask the recommender within a deadline, else stand in with what sells."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineMissed
from dataclasses import dataclass
from datetime import date

from recsys_engine.contract import Constraints, Context, Overrides, Recommendations, RecommendRequest
from recsys_engine.contract.limits import MAX_K
from shop_app.catalog.queries import ProductCard, best_sellers, cards, top_tags
from shop_app.core.shopper import Shopper
from shop_app.recsys.gateway import RecsysError, RecsysGateway
from shop_app.site_settings.defaults import SlotSettings
from shop_app.widgets.queries import category_of
from shop_app.widgets.registry import SLOTS, Anchor, Needs

log = logging.getLogger(__name__)

WAITERS = 16
"""Calls that may wait for a slow recommender at once; beyond that a call only waits for its deadline."""
SPARE = 4
"""Asked for beyond k, since an item may have sold out a moment ago."""
NARROWING = 8
"""How much longer a list of a brand is asked for when only one department of it may be shown."""
MOST_STEERING_TAGS = 8

_pool = ThreadPoolExecutor(WAITERS, thread_name_prefix="recommend")


@dataclass(frozen=True, slots=True)
class Visit:
    """What the page knows of the moment. `cart` and `recent` are item ids; `recent` newest first."""

    cart: Sequence[str] = ()
    recent: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Widget:
    """A filled slot. `source` is model, fallback or none; only a model's list carries a `request_id`.

    `reason` says why it is not the model's: late, failed, empty or off.
    """

    slot: str
    surface: str
    name: str
    dom_id: str
    title: str
    k: int
    cards: Sequence[ProductCard]
    source: str
    reason: str = ""
    request_id: str = ""
    is_steerable: bool = False
    is_steered: bool = False
    steering: Sequence[tuple[str, str]] = ()
    experiment: str = ""
    bucket: str = ""

    @property
    def state(self) -> str:
        """ready, fallback or empty: what tests and styles go by."""
        return "empty" if not self.cards else "ready" if self.source == "model" else "fallback"


def fill(
    settings: SlotSettings,
    shopper: Shopper,
    visit: Visit,
    needs: Needs,
    gateway: RecsysGateway | None,
    *,
    today: date,
    deadline_s: float,
) -> Widget:
    """The list of a slot for this shopper, in the recommender's order, without what is not for sale.

    Never raises for the recommender's sake: without a list in time it is the best sellers (of the department, when
    there is one) marked as fallback, or nothing when the slot has no fallback. A steered list is never replaced by
    one that ignores the shopper's wishes.
    """
    slot = SLOTS[settings.slot]
    request = request_for(settings, shopper, visit, needs)
    answer, trouble = _ask(gateway, request, deadline_s) if settings.is_on else (None, "off")
    shown = cards([item.item_id for item in answer.items], needs.category)[: settings.k] if answer else []
    stands_in = not shown and settings.is_on and settings.has_fallback and not needs.is_steered
    if stands_in:
        shown = _stand_in(settings.k, visit, needs, today)
    return Widget(
        slot=slot.name,
        surface=slot.surface,
        name=slot.widget,
        dom_id=slot.dom_id,
        title=settings.title,
        k=settings.k,
        cards=shown,
        source=("fallback" if stands_in else "model") if shown else "none",
        reason=trouble or ("" if shown and not stands_in else "empty"),
        request_id=answer.request_id if answer and shown and not stands_in else "",
        is_steerable=slot.is_steerable,
        is_steered=needs.is_steered,
        steering=top_tags(needs.category, limit=MOST_STEERING_TAGS) if slot.is_steerable else (),
    )


def request_for(settings: SlotSettings, shopper: Shopper, visit: Visit, needs: Needs) -> RecommendRequest:
    """What to ask for a slot.

    Without consent to personalisation it says what the page shows and nothing about the person.
    """
    anchor = SLOTS[settings.slot].anchor
    is_known = shopper.consent.personalisation
    department = (f"category:{needs.category}",) if needs.category and not needs.include_tags else ()
    return RecommendRequest(
        user_id=shopper.recsys_user_id or None,
        k=_wanted(settings.k, needs),
        context=Context(
            surface=settings.slot,
            item_id=needs.item or None if anchor is not Anchor.RECENT else None,
            cart_item_ids=tuple(visit.cart),
            session_item_ids=tuple(reversed(visit.recent)) if is_known else (),
            session_id=shopper.session_id if is_known else None,
            extra={"category": needs.category} if needs.category else {},
        ),
        constraints=Constraints(
            include_tags_any=needs.include_tags or department,
            exclude_tags_any=needs.exclude_tags,
            exclude_item_ids=_in_view(needs, visit, anchor),
            price_between=(needs.low, needs.high) if needs.low is not None or needs.high is not None else None,
        ),
        overrides=Overrides(brand_cap=settings.brand_cap or None, category_cap=settings.category_cap or None),
    )


def _wanted(k: int, needs: Needs) -> int:
    """Tags are alternatives to one another, so a brand within a department is cut out of a longer list of the brand."""
    return min(MAX_K, (k + SPARE) * (NARROWING if needs.category and needs.include_tags else 1))


def _in_view(needs: Needs, visit: Visit, anchor: Anchor) -> tuple[str, ...]:
    """What must not be offered: the product on the page, and for a list about recent items those items themselves."""
    seen = visit.recent if anchor is Anchor.RECENT else ()
    return (*((needs.item,) if needs.item else ()), *seen)


def _ask(
    gateway: RecsysGateway | None, request: RecommendRequest, deadline_s: float
) -> tuple[Recommendations | None, str]:
    """The recommender's list and no trouble, or no list and late or failed."""
    if gateway is None:
        return None, "failed"
    try:
        if getattr(gateway, "is_instant", False):  # handing over to another thread would cost more than the list
            return gateway.recommend(request), ""
        return _in_time(gateway, request, deadline_s), ""
    except DeadlineMissed:
        log.warning("recommend_late", extra={"slot": request.context.surface, "deadline_s": deadline_s})
        return None, "late"
    except RecsysError as error:
        log.warning("recommend_failed", extra={"slot": request.context.surface, "error": type(error).__name__})
        return None, "failed"


def _in_time(gateway: RecsysGateway, request: RecommendRequest, deadline_s: float) -> Recommendations:
    """Ask in another thread and wait no longer than the deadline. Raises DeadlineMissed and what the gateway raises."""
    waiting: Future[Recommendations] = _pool.submit(gateway.recommend, request)
    try:
        return waiting.result(deadline_s)
    finally:
        waiting.cancel()


def _stand_in(k: int, visit: Visit, needs: Needs, today: date) -> list[ProductCard]:
    """Best sellers, of the department when the address names one; never what is in the basket or in view."""
    known = [*visit.cart, *([needs.item] if needs.item else [])]
    category = needs.category or (category_of(needs.item) if needs.item else "")
    shown = best_sellers(limit=k, today=today, category_path=category, exclude=known)
    if len(shown) == k or not category or needs.category:
        return shown
    known += [card.sku for card in shown]
    return shown + best_sellers(limit=k - len(shown), today=today, exclude=known)
