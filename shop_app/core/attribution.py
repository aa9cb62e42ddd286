"""Where a shopper met an item, as one short text that travels in links and forms: `home.top_picks:3:01JD…`."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([a-z_]{1,30})\.([a-z_]{1,40}):(\d{1,4})(?::([A-Za-z0-9_-]{1,80}))?")


@dataclass(frozen=True, slots=True)
class Attribution:
    """A place in the shop: `surface` (home, pdp …), `widget` on it, 1-based `rank`, and the answer it came from.

    `request_id` is empty when no recommender chose the item (a search result, a fallback list).
    """

    surface: str
    widget: str
    rank: int
    request_id: str = ""

    @property
    def is_recommended(self) -> bool:
        return bool(self.request_id)

    @property
    def slot(self) -> str:
        return f"{self.surface}.{self.widget}"

    def text(self) -> str:
        """The form `parse_attribution` reads."""
        end = f":{self.request_id}" if self.request_id else ""
        return f"{self.slot}:{self.rank}{end}"


def parse_attribution(text: str | None) -> Attribution | None:
    """Read `text`; anything malformed is no attribution, since links are pasted and mangled."""
    match = _TEXT.fullmatch(text or "")
    if match is None:
        return None
    surface, widget, rank, request_id = match.groups()
    return Attribution(surface, widget, int(rank), request_id or "")
