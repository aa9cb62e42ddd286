"""Order under caps: marginal relevance, and a least number of brands."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.domain import Pool, Settings
from recsys_engine.signals.catalog import Catalog
from recsys_engine.stages.rerank import Caps, choose, tag_similarity
from tests.factories.engine import a_row


def _shelf(brands, tags=()):
    catalog = Catalog()
    for place, brand in enumerate(brands):
        named = f'["{tags[place]}"]' if place < len(tags) else "[]"
        catalog.put(a_row(f"p{place}", brand=brand, tags=named))
    return catalog.shelf()


def _pool(scores):
    count, nothing = len(scores), np.zeros((len(scores), 0))
    items = np.arange(count)
    return Pool(items, items, nothing, nothing, np.ones(count), np.array(scores, float))


def _listed(brands, scores, k, *, lambda_=1.0, tags=(), **limits):
    shelf, pool = _shelf(brands, tags), _pool(scores)
    caps = Caps(shelf, Settings({}, {}, **limits), k)
    order = np.argsort(-pool.scores, kind="stable")
    chosen, refused = choose(pool, order, k, caps, lambda_)
    return [choice.row for choice in chosen], refused


@pytest.mark.ticket("RS-045")
@pytest.mark.parametrize("lambda_", [1.0, 0.9])
def test_the_last_places_are_kept_for_new_brands(lambda_):
    rows, refused = _listed("aaaabc", [6, 5, 4, 3, 2, 1], 4, min_brands=3, lambda_=lambda_)

    assert rows == [0, 1, 4, 5]
    assert refused == {2: "min_brands", 3: "min_brands"}


def test_a_pool_of_too_few_brands_still_fills_the_list():
    rows, refused = _listed("aaaab", [5, 4, 3, 2, 1], 4, min_brands=3)

    assert rows == [0, 1, 4, 2]
    assert refused == {3: "min_brands"}


def test_an_unknown_brand_is_no_new_brand():
    assert _listed(["a", None, None, "b"], [4, 3, 2, 1], 2, min_brands=2)[0] == [0, 3]


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=14),
    st.integers(1, 8),
    st.integers(0, 5),
    st.integers(0, 3),
    st.sampled_from([1.0, 0.7]),
)
@settings(max_examples=80, deadline=None)
def test_as_many_brands_as_asked_for_when_the_pool_has_them(brands, k, least, cap, lambda_):
    rows, _ = _listed(brands, range(len(brands), 0, -1), k, min_brands=least, brand_cap=cap, lambda_=lambda_)

    listed = [brands[row] for row in rows]
    assert len(set(listed)) >= min(least, k, len(set(brands)))
    most = sum(min(brands.count(brand), cap or k) for brand in set(brands))
    assert len(rows) == len(set(rows)) == min(k, most)
    assert all(listed.count(brand) <= (cap or k) for brand in listed)


@pytest.mark.ticket("RS-045")
def test_marginal_relevance_decides_the_order_not_only_the_choice():
    rows, _ = _listed("abc", [1.0, 0.95, 0.9], 3, lambda_=0.5, tags=("red", "red", "blue"))

    assert rows == [0, 2, 1]


@given(st.lists(st.frozensets(st.sampled_from(["color:a", "color:b", "size:c", "brand:d"])), min_size=1, max_size=6))
def test_similarity_is_the_share_of_facet_tags_two_items_have_in_common(tagged):
    catalog = Catalog()
    for place, tags in enumerate(tagged):
        catalog.put(a_row(f"p{place}", brand="d", tags=json.dumps(sorted(tags))))
    facets = [tags - {"brand:d"} for tags in tagged]

    found = tag_similarity(catalog.shelf(), np.arange(len(tagged)))

    for one, mine in enumerate(facets):
        for other, theirs in enumerate(facets):
            share = np.float32(len(mine & theirs)) / np.float32(max(len(mine | theirs), 1))
            assert found[one, other] == share
