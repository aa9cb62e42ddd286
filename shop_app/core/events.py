"""The event dictionary: what is counted and what each must say (RS-003, RS-004)."""

from enum import IntEnum, StrEnum


class EventKind(IntEnum):
    """The numbers are the wire's. `value` is 1, except add and purchase: the quantity."""

    VIEW = 0
    CLICK = 1
    ADD = 2
    PURCHASE = 3
    CUSTOM = 4


class Regret(StrEnum):
    """`meta.kind` of a custom event about a product that was regretted; Recsys counts each as a type of its own."""

    SOLD_OUT_CLICK = "sold_out_click"
    RETURN = "return"


META_KEYS = frozenset(
    {
        "surface", "widget", "recommended", "request_id", "rank", "session_id", "referrer", "href", "text", "cart_id",
        "unit_price", "currency", "order_id", "kind", "total", "items", "experiment", "ab_bucket", "sku", "qa", "bot",
    }
)  # fmt: skip
"""The only keys that may leave the shop in `meta`."""
