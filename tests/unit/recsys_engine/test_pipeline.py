"""Properties of every list, whatever the shelf, the history, the limits and the rules."""

import json
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.contract import Constraints, Context, Overrides, RecommendRequest, RerankCandidate
from recsys_engine.domain import RuleEffects
from recsys_engine.service.ranking import Ranking
from recsys_engine.service.settings import StoredSettings
from recsys_engine.service.steering import Steer
from recsys_engine.signals.learned import fit_model
from recsys_engine.signals.ranking.from_state import lessons_from
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.stages.filters import allowed
from recsys_engine.store.log import EventRow

NOW_S = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
ITEMS = 30


def a_shelf(seed):
    rng = np.random.default_rng(seed)
    prices = [None, 1.0, 5.0, 9.0]
    return [
        (bool(rng.random() < 0.8), prices[rng.integers(4)], *(int(n) for n in rng.integers(0, [4, 3, 5])))
        for _ in range(ITEMS)
    ]


def a_log(seed):
    rng = np.random.default_rng(seed)
    return [tuple(int(n) for n in rng.integers(0, [4, ITEMS, 5, 40])) for _ in range(rng.integers(0, 60))]


# Worlds come from a seed: drawing every cell by itself would spend the time of a hundred lists on one.
shelves = st.integers(0, 10_000).map(a_shelf)
logs = st.integers(0, 10_000).map(a_log)
requests = st.fixed_dictionaries(
    {
        "k": st.integers(1, 25),
        "surface": st.sampled_from(
            ["home", "listing", "cart", "pdp.similar", "pdp.bought_together", "buy_again", "other"]
        ),
        "user": st.sampled_from([None, "u_0", "u_1", "stranger"]),
        "view": st.none() | st.integers(0, ITEMS - 1),
        "cart": st.lists(st.integers(0, ITEMS - 1), max_size=4),
        "exclude": st.lists(st.integers(0, ITEMS - 1), max_size=5),
        "brand_cap": st.integers(0, 4),
        "category_cap": st.integers(0, 6),
        "price": st.sampled_from([None, (2.0, None), (None, 6.0), (2.0, 6.0)]),
        "tag": st.sampled_from([None, "brand:b1", "color:2"]),
        "no_tag": st.sampled_from([None, "brand:b0", "color:1"]),
        "lambda": st.sampled_from([None, 0.0, 0.5, 1.0]),
        "explore": st.sampled_from([0.0, 0.3, 1.0]),
        "pins": st.lists(st.integers(0, ITEMS - 1), max_size=4),
        "blocked": st.lists(st.integers(0, ITEMS - 1), max_size=6),
        "boosts": st.dictionaries(st.integers(0, ITEMS - 1), st.sampled_from([-1.0, -0.5, 0.5, 3.0]), max_size=4),
        "rerank": st.none() | st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=10),
    }
)


def a_world(shelf, log):
    state = LiveState(CounterSettings(round(NOW_S * 1000)))
    for n, (available, price, brand, category, color) in enumerate(shelf):
        state.catalog.put(
            SimpleNamespace(
                item_id=f"p{n}",
                available=available,
                price=price,
                brand=f"b{brand}",
                category=f"c{category}",
                tags=json.dumps([f"color:{color}"]),
                props=json.dumps({"parent_id": f"m{n // 2}"} if n < 6 else {}),
                created_us=0,
                embedding=None,
            )
        )
    for seq, (user, item, type_, age_h) in enumerate(log, 1):
        at_ms = round(NOW_S * 1000) - age_h * 3_600_000
        state.apply(EventRow(seq, f"u_{user}", f"p{item}", type_, 1.0, at_ms, f"o{user}-{age_h // 4}", False))
    return state


@cache
def a_learned_world(seed):
    """A shelf and a ranking that learned from 60 days of orders of four shoppers."""
    shelf, rng = a_shelf(seed), np.random.default_rng(seed)
    orders = [
        (user, int(item), 3, 24 * day)
        for user in range(4)
        for day in range(1, 60, 6)
        for item in rng.integers(0, ITEMS, 3)
    ]
    state = a_world(shelf, orders + a_log(seed))
    ranking = Ranking(state)
    ranking.learned.use(fit_model(lessons_from(state), NOW_S))
    return shelf, state, ranking


def serve(state, ask, seed="r", ranking=None):
    request = RecommendRequest(
        ask["user"],
        ask["k"],
        Context(
            ask["surface"], None if ask["view"] is None else f"p{ask['view']}", tuple(f"p{n}" for n in ask["cart"])
        ),
        Constraints(
            (ask["tag"],) if ask["tag"] else (),
            (ask["no_tag"],) if ask["no_tag"] else (),
            tuple(f"p{n}" for n in ask["exclude"]),
            ask["price"],
        ),
        overrides=Overrides(
            mmr_lambda=ask["lambda"],
            brand_cap=ask["brand_cap"],
            category_cap=ask["category_cap"],
            exploration_rate=ask["explore"],
        ),
        include_reasons=True,
        explain_level="full",
    )
    rules = RuleEffects(
        dict.fromkeys(ask["blocked"], ("block",)),
        [(item, "pin") for item in ask["pins"] if item not in ask["blocked"]],
        {item: (delta, ("boost",)) for item, delta in ask["boosts"].items()},
        frozenset(ask["boosts"]),
    )
    given = None if ask["rerank"] is None else [RerankCandidate(f"p{n}", n / ITEMS) for n in ask["rerank"]]
    ranking = ranking or Ranking(state)
    return ranking.recommend(request, seed, StoredSettings(), NOW_S, steer=Steer(rules=rules), candidates=given)


@given(shelves, logs, requests)
@settings(max_examples=60, deadline=None)
def test_limits_caps_and_rules_hold_for_every_item(shelf, log, ask):
    check_limits(shelf, ask, serve(a_world(shelf, log), ask).answer.items)


def check_limits(shelf, ask, places):
    items = [int(place.item_id[1:]) for place in places]

    assert len(items) == len(set(items)) <= ask["k"]
    assert [place.rank for place in places] == list(range(1, len(items) + 1))
    for item in items:
        available, price, brand, _, color = shelf[item]
        assert available
        assert item not in {*ask["exclude"], *ask["cart"], *ask["blocked"], ask["view"]}
        if ask["price"]:
            low, high = ask["price"]
            assert price is not None
            assert (low or 0) <= price <= (high or 99)
        assert ask["tag"] in {None, f"brand:b{brand}", f"color:{color}"}
        assert ask["no_tag"] not in {f"brand:b{brand}", f"color:{color}"}
    parents = [n // 2 for n in items if n < 6]
    assert len(parents) == len(set(parents))
    for cap, column in ((ask["brand_cap"], 2), (ask["category_cap"], 3)):
        if cap:
            assert max(Counter(shelf[item][column] for item in items).values(), default=0) <= cap
    if ask["rerank"] is not None:
        assert set(items) <= {*ask["rerank"], *ask["pins"], *ask["boosts"]}


@given(shelves, logs, requests)
@settings(max_examples=60, deadline=None)
def test_explanations_sum_to_the_score_and_the_same_seed_gives_the_same_list(shelf, log, ask):
    state = a_world(shelf, log)

    first, second = serve(state, ask), serve(state, ask)

    assert first.answer.items == second.answer.items
    check_sums(first)


def check_sums(first):
    for place, choice in zip(first.answer.items, first.outcome.choices, strict=True):
        explained = place.explain
        total = sum(part["contribution"] for part in explained["contributions"].values())
        assert total == pytest.approx(explained["blend"], abs=1e-9)
        assert explained["blend"] * explained["multiplier"] + explained["added"] == pytest.approx(place.score, abs=1e-9)
        assert 0 < choice.propensity <= 1
        assert place.reasons


@given(st.integers(0, 2), requests)
@settings(max_examples=60, deadline=None)
def test_learned_lists_hold_every_limit_too_and_add_up(seed, ask):
    shelf, state, ranking = a_learned_world(seed)

    first, second = serve(state, ask, ranking=ranking), serve(state, ask, ranking=ranking)

    assert first.answer.items == second.answer.items
    check_limits(shelf, ask, first.answer.items)
    check_sums(first)
    for place in first.answer.items:
        for block in place.explain.get("learned", ()):
            parts = block["base"] + block["novelty"] + sum(one["contribution"] for one in block["columns"].values())
            assert block["ranker"] == pytest.approx(parts, abs=1e-9)


def test_the_lists_of_those_worlds_are_learned():
    shelf, state, ranking = a_learned_world(0)
    served = ranking.recommend(RecommendRequest("u_0", 5, Context("home")), "r", StoredSettings(), NOW_S)

    learned = served.outcome.names.index("learned")
    assert all(served.outcome.pool.contributions[choice.row, learned] > 0 for choice in served.outcome.choices[:3])
    assert shelf
    assert state.catalog.size == ITEMS


@given(shelves, logs, requests)
@settings(max_examples=60, deadline=None)
def test_a_list_is_as_long_as_the_shelf_allows(shelf, log, ask):
    ask = {**ask, "rerank": None, "brand_cap": 0, "category_cap": 0, "pins": [], "boosts": {}}
    if ask["surface"] == "buy_again":
        return
    served = serve(a_world(shelf, log), ask)
    limits, query = served.limits, served.query

    open_ = np.flatnonzero(allowed(query.shelf, limits, np.arange(ITEMS))).tolist()
    groups = {query.shelf.parent[n] for n in open_ if n not in ask["blocked"]}

    assert len(served.answer.items) == min(ask["k"], len(groups))
