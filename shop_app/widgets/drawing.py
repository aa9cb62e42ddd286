"""A filled list as HTML. What differs from answer to answer is put into pieces that are drawn once.

A card is drawn once for each state of a product and slot it stands in, and what is around the cards once for each
state of a slot; ranks, the request's id and what the forms send are filled in.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from flask import current_app
from flask_wtf.csrf import generate_csrf
from markupsafe import escape

from shop_app.catalog.queries import ProductCard
from shop_app.widgets.registry import Needs
from shop_app.widgets.services import Widget

CARDS_KEPT = 5000
"""Drawn cards held in memory, about 1 kB each."""
FRAMES_KEPT = 500
"""Drawn lists without their cards, about 2 kB each."""
RANK, REQUEST_ID, CARDS = "\x02rank\x03", "\x02request\x03", "\x02cards\x03"
TOKEN, QUERY, SHOWN, COMPLAINT = "\x02token\x03", "\x02query\x03", "\x02shown\x03", "\x02complaint\x03"
"""What stands in a drawn piece for what is filled in; no product text holds these characters."""
BETWEEN_CARDS = "</li>\n<li>"


@dataclass(frozen=True, slots=True)
class News:
    """What is said beside a list that took another's place, and the complaint that may be taken back; 0 for none."""

    text: str
    complaint: int = 0


def draw(widget: Widget, needs: Needs, news: News | None = None) -> str:
    """The section of a slot as widgets/carousel.html has it, with `product_card` of components/products.html."""
    is_recommended = bool(widget.request_id)
    frame = replace(
        widget, cards=(), request_id=REQUEST_ID if is_recommended else "", reason="", is_hit=False
    )  # neither reason nor is_hit shows
    drawn = _drawn_frame(
        frame,
        replace(needs, elsewhere=()) if widget.is_steerable else Needs(),
        news and replace(news, complaint=bool(news.complaint)),
        is_empty=not widget.cards,
    )
    cards = [
        _drawn_card(card, widget.slot, is_recommended=is_recommended).replace(RANK, str(rank))
        for rank, card in enumerate(widget.cards, 1)
    ]
    if not (widget.cards or news):
        return drawn
    shown, query = " ".join([card.sku for card in widget.cards]), needs.query
    filled = drawn.replace(TOKEN, generate_csrf()).replace(SHOWN, str(escape(shown)))
    filled = filled.replace(QUERY, str(escape(query)) if query else "")
    if news:
        filled = filled.replace(COMPLAINT, str(news.complaint))
    return filled.replace(CARDS, BETWEEN_CARDS.join(cards)).replace(REQUEST_ID, str(escape(widget.request_id)))


@lru_cache(FRAMES_KEPT)
def _drawn_frame(frame: Widget, needs: Needs, news: News | None, *, is_empty: bool) -> str:
    template = current_app.jinja_env.get_template("widgets/carousel.html")
    forms = {"token": TOKEN, "query": QUERY, "shown": SHOWN, "complaint": COMPLAINT}
    cards = [] if is_empty else [CARDS]
    return template.render(widget=frame, needs=needs, news=news, cards=cards, in_place=True, **forms)


@lru_cache(CARDS_KEPT)
def _drawn_card(card: ProductCard, slot: str, *, is_recommended: bool) -> str:
    macro = current_app.jinja_env.get_template("components/products.html").module.product_card  # type: ignore[attr-defined]
    return str(macro(card, slot, RANK, REQUEST_ID if is_recommended else ""))
