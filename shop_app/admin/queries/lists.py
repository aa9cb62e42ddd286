"""Any slot as any shopper sees it now, why each item is in its place, and why another one is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from recsys_engine.contract import PageQuery, Recommendations, RecommendRequest, ScoredItem
from recsys_engine.contract.limits import MAX_K
from shop_app.admin.formats import score
from shop_app.admin.queries.products import pending_change
from shop_app.catalog.models import Product
from shop_app.core.ids import new_token
from shop_app.core.shopper import Consent, Shopper
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysGateway
from shop_app.site_settings.defaults import SlotSettings
from shop_app.widgets.registry import Needs
from shop_app.widgets.services import Visit, request_for

PREVIEW_PREFIX = "preview-"
"""Marks answers nobody was shown, so that logs of decisions can leave them out."""
EVERYBODY_AGREED = Consent(analytics=True, personalisation=True, is_decided=True)


@dataclass(frozen=True, slots=True)
class Part:
    """What one signal added to a score."""

    name: str
    contribution: float


@dataclass(frozen=True, slots=True)
class PlaceStory:
    """One place of a list. The parts' sum times `multiplier` is the score."""

    rank: int
    item_id: str
    title: str
    score: float
    parts: tuple[Part, ...]
    multiplier: float
    reasons: tuple[str, ...]
    sources: tuple[str, ...]
    how: str
    penalty: float
    history: tuple[tuple[str, str], ...]

    @property
    def sum_of_parts(self) -> float:
        """What the parts say the score is."""
        return sum(part.contribution for part in self.parts) * self.multiplier


@dataclass(frozen=True, slots=True)
class ListStory:
    """A list with its reasons; `counts` says how many candidates each source offered."""

    request_id: str
    model_version: str
    places: tuple[PlaceStory, ...]
    counts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose list: an opaque shopper key (empty: a stranger), the product in view, what lies in the basket."""

    shopper_key: str = ""
    item: str = ""
    category: str = ""
    cart: tuple[str, ...] = ()


def list_story(gateway: RecsysGateway, settings: SlotSettings, asked: Asked) -> ListStory:
    """Ask for the slot's list and read its reasons. Raises what the gateway raises."""
    answer = gateway.recommend(preview_request(settings, asked, settings.k))
    return _story(answer, answer.items[: settings.k])


def why_missing(gateway: RecsysGateway, settings: SlotSettings, asked: Asked, sku: str) -> str:
    """One sentence: at which step `sku` falls out of the slot's list for this shopper."""
    product = db.session.scalars(select(Product).where(Product.sku == sku)).one_or_none()
    if product is None:
        return "The shop sells nothing with this SKU."
    if reason := _not_for_sale(product) or _excluded(product, asked) or _unknown_to_recsys(gateway, product):
        return reason
    verdict = gateway.control.explain_missing(preview_request(settings, asked, settings.k), sku)
    if verdict.rank is not None and verdict.rank <= settings.k:
        return f"It is shown, at place {verdict.rank}."
    if verdict.rank is not None or verdict.stage == "cut":
        return _beyond(gateway, settings, asked, sku)
    return f"It falls out at the step “{verdict.stage.replace('_', ' ')}”: {verdict.reason}"


def _beyond(gateway: RecsysGateway, settings: SlotSettings, asked: Asked, sku: str) -> str:
    """How far behind the end of the list it is."""
    answer = gateway.recommend(preview_request(settings, asked, MAX_K))
    ranks = {place.item_id: (place.rank, place.score) for place in answer.items}
    if sku not in ranks:
        return f"{len(answer.items)} items score higher, so the list ends before it."
    place, own = ranks[sku]
    last = answer.items[min(settings.k, len(answer.items)) - 1]
    return f"It is at place {place}, score {score(own)}; the list ends at {settings.k}, score {score(last.score)}."


def preview_request(settings: SlotSettings, asked: Asked, k: int) -> RecommendRequest:
    """What the slot would ask for this shopper, with every reason; marked so that logs can leave it out."""
    shopper = Shopper(key=asked.shopper_key, session_id=PREVIEW_PREFIX, consent=EVERYBODY_AGREED)
    wanted = request_for(
        replace(settings, k=min(k, settings.k) if k <= settings.k else settings.k),
        shopper,
        Visit(cart=asked.cart),
        Needs(item=asked.item, category=asked.category),
    )
    return replace(
        wanted,
        k=max(wanted.k, k),
        include_reasons=True,
        explain_level="full",
        request_id=f"{PREVIEW_PREFIX}{new_token()}",
    )


def _story(answer: Recommendations, items: Sequence[ScoredItem]) -> ListStory:
    skus = [item.item_id for item in items]
    titles = {row.sku: row.title for row in db.session.execute(_titles(skus))}
    extras = (answer.trace or {}).get("extras", {})
    return ListStory(
        answer.request_id,
        answer.model_version,
        tuple(_place(item, titles) for item in items),
        extras.get("candidate_sources", {}),
    )


def _titles(skus: Sequence[str]) -> Any:
    return select(Product.sku, Product.title).where(Product.sku.in_(skus))


def _place(item: ScoredItem, titles: Mapping[str, str]) -> PlaceStory:
    told = item.explain or {}
    parts = [Part(name, float(part["contribution"])) for name, part in told.get("contributions", {}).items()]
    return PlaceStory(
        rank=item.rank,
        item_id=item.item_id,
        title=titles.get(item.item_id, item.item_id),
        score=item.score,
        parts=tuple(sorted((p for p in parts if p.contribution), key=lambda p: -abs(p.contribution))),
        multiplier=float(told.get("multiplier", 1.0)),
        reasons=item.reasons,
        sources=tuple(told.get("sources", ())),
        how=str(told.get("how", "")),
        penalty=float(told.get("mmr", {}).get("penalty") or 0.0),
        history=tuple((name, shares[0]["item_id"]) for name, shares in told.get("history", {}).items() if shares),
    )


def _not_for_sale(product: Product) -> str:
    if product.status != "active":
        return f"It is {product.status}: lists hold only what is sold."
    if product.stock == 0:
        return "It is sold out: lists hold only what is in stock."
    return ""


def _excluded(product: Product, asked: Asked) -> str:
    if product.sku in asked.cart:
        return "It lies in the basket already."
    return "It is the product on the page." if product.sku == asked.item else ""


def _unknown_to_recsys(gateway: RecsysGateway, product: Product) -> str:
    stored = gateway.list_items(PageQuery(limit=1, item_id=product.sku)).rows
    if not stored:
        waits = "its change still waits to be sent" if pending_change(product.id) else "send all items again"
        return f"Recsys does not know it: {waits}."
    return "" if stored[0].item.available else "Recsys has it as not available: its last change still has to arrive."
