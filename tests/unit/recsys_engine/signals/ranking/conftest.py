"""A small shop with known habits."""

import numpy as np
import pytest

from recsys_engine.signals.ranking.orders import DAY_S, Facts, Orders, orders_from_rows

ITEMS, USERS, DAYS = 60, 40, 300
START = 1_600_000_000


@pytest.fixture(scope="session")
def facts() -> Facts:
    rng = np.random.default_rng(3)
    vectors = np.repeat(rng.normal(size=(6, 384)), 10, axis=0) + 0.4 * rng.normal(size=(ITEMS, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    price = np.linspace(1, 4, ITEMS).astype(np.float32)
    return Facts(price, np.repeat(np.arange(6), 10), np.zeros(ITEMS, np.int64), vectors.astype(np.float32))


@pytest.fixture(scope="session")
def orders() -> Orders:
    """Each user buys every 9 days: their three habits out of one group of ten items, and two others of that group."""
    rng = np.random.default_rng(5)
    rows = []
    basket = 0
    for user in range(USERS):
        group = 10 * (user % 6)
        habits = group + rng.choice(10, 3, replace=False)
        for day in range(user % 9, DAYS, 9):
            bought = np.unique(np.concatenate([habits, group + rng.choice(10, 2)]))
            rows += [(item, user, basket, START + day * DAY_S + 60 * user, 1.0) for item in bought]
            basket += 1
    return from_tuples(rows)


def from_tuples(rows, n_items=ITEMS, n_users=USERS, guests=()) -> Orders:
    item, user, basket, ts, quantity = zip(*rows, strict=True)
    return orders_from_rows(
        item=np.array(item),
        user=np.array(user),
        basket=np.array(basket),
        ts=np.array(ts, np.int64),
        quantity=np.array(quantity, np.float32),
        n_items=n_items,
        is_member=~np.isin(np.arange(n_users), guests),
    )
