"""Pages of the console, one module an area. Importing this package hangs every page on `bp`."""

from shop_app.admin.views import (
    alerts,
    delivery,
    differences,
    engine,
    events,
    experiments,
    insights,
    lists,
    orders,
    overrides,
    people,
    policies,
    products,
    ranking,
    rules,
    segments,
    surfaces,
)
from shop_app.admin.views.base import bp

__all__ = [
    "alerts",
    "bp",
    "delivery",
    "differences",
    "engine",
    "events",
    "experiments",
    "insights",
    "lists",
    "orders",
    "overrides",
    "people",
    "policies",
    "products",
    "ranking",
    "rules",
    "segments",
    "surfaces",
]
