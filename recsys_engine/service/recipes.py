"""How each surface makes its list by default, before stored settings and the request have their say."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from recsys_engine.contract.entities import OUT_OF_STOCK_CLICK, RETURN
from recsys_engine.domain import Guardrail, Settings

DEFAULT_TYPE_WEIGHTS: Mapping[int, float] = MappingProxyType({0: 0.05, 1: 0.20, 2: 0.70, 3: 1.00, 4: 0.10})
DEFAULT_HALF_LIVES_DAYS: Mapping[int, float] = MappingProxyType({0: 3.0, 1: 7.0, 2: 21.0, 3: 60.0, 4: 3.0})
DEFAULT_TYPE_NAMES: Mapping[int, str] = MappingProxyType({0: "view", 1: "click", 2: "add", 3: "purchase", 4: "custom"})
FALLBACK_HALF_LIFE_DAYS = 14.0
DEFAULT_GUARDRAILS = (
    Guardrail("out_of_stock_click", OUT_OF_STOCK_CLICK, base_type=1, tolerated=0.1, strength=0.5),
    Guardrail("return", RETURN, base_type=3, tolerated=0.1, strength=1.0),
)
DEFAULT_SURFACE = "default"
GUEST_SUFFIX = ".guest"

_PERSONAL = Settings(
    weights={
        "recent_popularity": 0.15,
        "trend": 0.05,
        "co_visitation": 0.35,
        "session_sequence": 0.60,
        "session_knn": 1.00,
        "bought_together": 0.20,
        "repurchase": 0.60,
        "content_similarity": 0.15,
        "personalization": 0.25,
    },
    generators={
        "recent_popularity": 150,
        "trend": 50,
        "co_visitation": 150,
        "session_sequence": 80,
        "session_knn": 100,
        "bought_together": 150,
        "repurchase": 80,
        "content_similarity": 60,
        "personalization": 60,
    },
    mmr_lambda=0.9,
    min_brands=0,
)

_SIMILAR = replace(
    _PERSONAL,
    weights={
        "co_visitation": 0.8,
        "session_sequence": 0.4,
        "bought_together": 0.3,
        "content_similarity": 0.6,
        "recent_popularity": 0.02,
    },
    generators={
        "co_visitation": 200,
        "session_sequence": 100,
        "bought_together": 100,
        "content_similarity": 100,
        "recent_popularity": 40,
    },
    mmr_lambda=1.0,
)

_COMPLEMENT = replace(
    _SIMILAR,
    weights={"bought_together": 1.0, "co_visitation": 0.15, "content_similarity": 0.05, "recent_popularity": 0.03},
    generators={"bought_together": 250, "co_visitation": 100, "content_similarity": 30, "recent_popularity": 60},
    mmr_lambda=1.0,
)

_AGAIN = replace(
    _PERSONAL,
    weights={"repurchase": 1.0, "recent_popularity": 0.02},
    generators={"repurchase": 500},
    only_own_history=True,
    mmr_lambda=1.0,
)

_TRENDING = replace(
    _PERSONAL,
    weights={"trend": 1.0, "recent_popularity": 0.3},
    generators={"trend": 300, "recent_popularity": 100},
)

_POPULAR = replace(
    _PERSONAL,
    weights={"recent_popularity": 1.0, "trend": 0.1, "personalization": 0.3, "repurchase": 0.1},
    generators={"recent_popularity": 500, "trend": 50},
)

RECIPES: Mapping[str, Settings] = MappingProxyType(
    {
        DEFAULT_SURFACE: _PERSONAL,
        "home": _PERSONAL,
        "home.trending": _TRENDING,
        "home.recent": replace(_SIMILAR, mmr_lambda=0.85),
        "listing": _POPULAR,
        "pdp": _SIMILAR,
        "pdp.similar": _SIMILAR,
        "pdp.bought_together": _COMPLEMENT,
        "cart": _COMPLEMENT,
        "buy_again": _AGAIN,
        "orders": _AGAIN,
        "order.buy_again": _AGAIN,
        "orders.buy_again": _AGAIN,
        "search": _POPULAR,
        "search.rescue": _PERSONAL,
    }
)


LEARNED = "learned"
BESIDE_LEARNED = 1e-4
"""What the other signals keep of their weight: they break ties and decide alone where the ranker knows nothing."""
SESSION_BESIDE_LEARNED = 0.5
"""A session going on speaks beside the ranker, which learned from orders alone."""
_LEARNED_GENERATORS: Mapping[str, int] = MappingProxyType(
    {
        LEARNED: 300,
        "session_knn": 60,
        "session_sequence": 40,
        "recent_popularity": 40,
        "trend": 20,
        "co_visitation": 40,
        "content_similarity": 20,
    }
)
_BESIDE = frozenset({"recent_popularity", "trend", "co_visitation", "repurchase"})
_LEARNED_SURFACES = frozenset(
    {DEFAULT_SURFACE, "home", "pdp", "pdp.similar", "cart", "buy_again", "orders", "search.rescue"}
    | {"order.buy_again", "orders.buy_again"}
)


def learned_recipe(surface: str) -> Settings:
    """The recipe of a surface once a learned ranking is there.

    Trending, listing, search and "bought together" stay with the live counters: they promise something else.
    """
    name = _known_name(surface)
    plain = RECIPES[name]
    if name not in _LEARNED_SURFACES:
        return plain
    weights = {name: BESIDE_LEARNED * weight for name, weight in plain.weights.items() if name in _BESIDE}
    if "session_knn" in plain.weights and not plain.only_own_history:
        weights |= {name: SESSION_BESIDE_LEARNED * plain.weights[name] for name in ("session_knn", "session_sequence")}
    generators = plain.generators if plain.only_own_history else _LEARNED_GENERATORS
    return replace(plain, weights={LEARNED: 1.0, **weights}, generators=generators)


def recipe(surface: str) -> Settings:
    """The recipe of a surface: by its full name, else by the part before the last dot, and so on, else the default."""
    return RECIPES[_known_name(surface)]


def _known_name(surface: str) -> str:
    name = surface
    while name and name not in RECIPES:
        name = name.rpartition(".")[0]
    return name or DEFAULT_SURFACE
