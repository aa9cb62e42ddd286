"""The engine under a shop yardstick: the live state, the pipeline and a refit, exactly as the service runs them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from recsys_engine.contract.requests import Constraints, Context, Overrides, RecommendRequest, RerankCandidate
from recsys_engine.service.ranking import Ranking
from recsys_engine.service.settings import StoredSettings, counter_settings
from recsys_engine.signals.build import load_events
from recsys_engine.signals.embeddings import best_embedder
from recsys_engine.signals.learned import fit_model
from recsys_engine.signals.ranking.from_state import ANONYMOUS_PREFIX, lessons_from
from recsys_engine.signals.state import LiveState

GUEST_PREFIX = "g"  # the yardstick's mark of a shopper without an account
EVER_DAYS = 36_500.0


class Engine:
    """fit(events, items) with data frames (user, item, basket, ts, type, value; item, title, brand, category, price,
    text).

    Surfaces: `home` for the next basket, `home` without what was ever bought for new items, `pdp.similar`, `cart`,
    and the
    rerank verb for given items. Nothing is cached between users that the service would not cache.
    """

    overrides = Overrides()
    """What every request asks for beyond the stored defaults."""

    def fit(self, events: Any, items: Any) -> None:
        """Build the live state from the log and refit the model; everything in `events` lies before the window."""
        stored = StoredSettings()
        epoch_ms = int(events["ts"].max()) * 1000
        self._now_s = epoch_ms / 1000 + 1
        self._stored = stored
        self._state = LiveState(counter_settings(stored, epoch_ms))
        for row in _item_rows(items):
            self._state.catalog.put(row)
        load_events(self._state, list(_event_rows(events)))
        self._ranking = Ranking(self._state)
        self._ranking.learned.use(fit_model(lessons_from(self._state), self._now_s))

    def recommend(self, user: str, history: Sequence[Any], k: int, exclude: Collection[str] = ()) -> list[str]:
        """The home list; with `exclude` the shopper wants what they never bought."""
        self._meet(user, history)
        overrides = self.overrides
        if exclude:
            overrides = replace(overrides, rule_exclude_events=True, purchased_window_days=EVER_DAYS)
        limits = Constraints(exclude_item_ids=tuple(exclude))
        return self._list(RecommendRequest(_name(user), k, Context("home"), limits, overrides=overrides))

    def similar(self, item: str, k: int) -> list[str]:
        return self._list(RecommendRequest(None, k, Context("pdp.similar", item), overrides=self.overrides))

    def complete(self, basket: Sequence[str], k: int) -> list[str]:
        return self._list(
            RecommendRequest(None, k, Context("cart", cart_item_ids=tuple(basket)), overrides=self.overrides)
        )

    def rank_cold(self, user: str, history: Sequence[Any], candidates: Sequence[str], k: int) -> list[str]:
        """The rerank verb over items nobody has bought."""
        self._meet(user, history)
        given = [RerankCandidate(item) for item in candidates]
        return self._list(RecommendRequest(_name(user), k, Context("home"), overrides=self.overrides), given)

    def next_click(self, session_items: Sequence[str], k: int) -> list[str]:
        """A guest's session on the home surface."""
        return self._list(
            RecommendRequest(None, k, Context("home", session_item_ids=tuple(session_items)), overrides=self.overrides)
        )

    def _list(self, request: RecommendRequest, given: Sequence[RerankCandidate] | None = None) -> list[str]:
        served = self._ranking.recommend(request, "yardstick", self._stored, self._now_s, candidates=given)
        return [place.item_id for place in served.answer.items]

    def _meet(self, user: str, history: Sequence[Any]) -> None:
        """A shopper the log does not know tells their history first."""
        name = _name(user)
        if name in self._state.histories.user_index or not history:
            return
        index = self._state.histories.index_of(name)
        for event in history:
            item = self._state.catalog.index_of(event.item)
            code = abs(hash(event.basket)) % 2**48
            self._state.histories.append(index, (item, int(event.ts) * 1000, int(event.type), event.value, code))


class Plain(Engine):
    """By relevance alone: no diversity, no caps."""

    overrides = Overrides(mmr_lambda=1.0, brand_cap=0, category_cap=0)


class Capped(Engine):
    """The defaults with at most two items of a brand and three of a category in each list."""

    overrides = Overrides(brand_cap=2, category_cap=3)


def _name(user: str) -> str:
    return f"{ANONYMOUS_PREFIX}{user}" if user.startswith(GUEST_PREFIX) else f"u_{user}"


def _item_rows(items: Any) -> list[SimpleNamespace]:
    texts = items["text"].fillna("").where(items["text"].fillna("") != "", items["title"].fillna("")).tolist()
    vectors = best_embedder().embed(texts)
    return [
        SimpleNamespace(
            item_id=str(item),
            props=json.dumps({}),
            tags="[]",
            available=True,
            price=float(price) if np.isfinite(price) else None,
            brand=brand or None,
            category=category or None,
            created_us=0,
            embedding=vector.astype("<f4").tobytes() if vector.any() else None,
        )
        for item, price, brand, category, vector in zip(
            items["item"], items["price"], items["brand"].fillna(""), items["category"].fillna(""), vectors, strict=True
        )
    ]


def _event_rows(events: Any) -> Any:
    """Tuples in log order: seq, user, item, type, value, ts µs, order, impression."""
    ordered = events.sort_values("ts", kind="stable")
    columns = (ordered[name].tolist() for name in ("user", "item", "type", "value", "ts", "basket"))
    for seq, (user, item, type_, value, ts, basket) in enumerate(zip(*columns, strict=True), 1):
        yield (seq, _name(user), item, int(type_), float(value), int(ts) * 1_000_000, str(basket), 0)
