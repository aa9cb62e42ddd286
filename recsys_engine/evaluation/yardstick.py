"""The engine under a shop yardstick: fit on a log, then answer as the live service would."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from recsys_engine.signals.embeddings import best_embedder
from recsys_engine.signals.ranking.model import Ranked, RankingModel, fit_ranking
from recsys_engine.signals.ranking.orders import Facts, Ints, orders_from_rows
from recsys_engine.signals.ranking.shoppers import Histories

GUEST_PREFIXES = ("g", "a_")


class Engine:
    """fit(events, items) with data frames (user, item, basket, ts, type, value; item, title, brand, category, price,
    text).
    """

    _model: RankingModel
    _now: int

    def fit(self, events: Any, items: Any) -> None:
        """Learn from `events`, all before the evaluation window."""
        catalogue = items.drop_duplicates("item").set_index("item")
        self._ids = np.array(list(dict.fromkeys([*catalogue.index, *events["item"].unique()])), object)
        self._index = {item: i for i, item in enumerate(self._ids)}
        users, first = np.unique(events["user"].to_numpy(object), return_inverse=True)
        self._users = {user: i for i, user in enumerate(users)}
        bought = (events["type"] == 3).to_numpy()
        orders = orders_from_rows(
            item=events["item"].map(self._index).to_numpy(np.int64)[bought],
            user=first.astype(np.int64)[bought],
            basket=np.unique(events["basket"].to_numpy(object), return_inverse=True)[1].astype(np.int64)[bought],
            ts=events["ts"].to_numpy(np.int64)[bought],
            quantity=events["value"].to_numpy(np.float32)[bought],
            n_items=len(self._ids),
            is_member=np.array([not str(user).startswith(GUEST_PREFIXES) for user in users]),
        )
        self._now = int(events["ts"].max()) + 1
        self._model = fit_ranking(orders, _facts(catalogue.reindex(self._ids)), self._now)

    def recommend(self, user: str, history: Sequence[Any], k: int, exclude: Collection[str] = ()) -> list[str]:
        """Recipe "home", or "discover" when the caller excludes what was bought."""
        ranked = self._model.personal(self._lines(user, history), repeats=not exclude)
        return self._best(ranked, k, exclude)

    def similar(self, item: str, k: int) -> list[str]:
        return self.complete([item], k)

    def complete(self, basket: Sequence[str], k: int) -> list[str]:
        known = np.array([self._index[item] for item in basket if item in self._index], np.int64)
        return self._best(self._model.together([known]), k, basket)

    def rank_cold(self, user: str, history: Sequence[Any], candidates: Sequence[str], k: int) -> list[str]:
        items = np.array([self._index[item] for item in candidates], np.int64)
        scores = self._model.newcomers(self._lines(user, history), items)[0]
        return [candidates[i] for i in np.argsort(-scores, kind="stable")[:k]]

    def _lines(self, user: str, history: Sequence[Any]) -> Histories:
        bought = [event for event in history if event.type == 3 and event.item in self._index]
        baskets = {basket: i for i, basket in enumerate(dict.fromkeys(event.basket for event in bought))}
        return Histories(
            shopper=np.zeros(len(bought), np.int64),
            item=np.array([self._index[event.item] for event in bought], np.int64),
            ts=np.array([event.ts for event in bought], np.int64),
            basket=np.array([baskets[event.basket] for event in bought], np.int64),
            quantity=np.array([event.value for event in bought], np.float32),
            known_as=np.array([self._users.get(user, -1)], np.int64),
        )

    def _best(self, ranked: Ranked, k: int, exclude: Collection[str]) -> list[str]:
        hidden = {self._index[item] for item in exclude if item in self._index}
        order = np.lexsort((ranked.candidates.item, -ranked.scores))
        chosen: Ints = ranked.candidates.item[order]
        return [str(self._ids[item]) for item in chosen.tolist() if item not in hidden][:k]


def _facts(catalogue: Any) -> Facts:
    """Catalogue facts in the order of the rows; items only known from events have empty ones."""
    texts = catalogue["text"].fillna("").where(catalogue["text"].fillna("") != "", catalogue["title"].fillna(""))
    return Facts(
        price=np.log1p(catalogue["price"].fillna(0).to_numpy(np.float32)),
        category=_codes(catalogue["category"].fillna("")),
        brand=_codes(catalogue["brand"].fillna("")),
        vectors=best_embedder().embed(texts.tolist()),
    )


def _codes(values: Any) -> Ints:
    return np.unique(values.to_numpy(object), return_inverse=True)[1].astype(np.int64)
