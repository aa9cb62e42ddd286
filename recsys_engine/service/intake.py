"""Limits on what one call may carry, checked before anything else."""

import time
from collections.abc import Sequence
from os import urandom
from typing import Any

from recsys_engine.contract.checks import is_valid_id
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import MAX_PAGE, MAX_RERANK_ITEMS
from recsys_engine.contract.requests import PageQuery, RerankCandidate

_FIXED_BITS, _VERSION_7 = 0xF << 76 | 0b11 << 62, 0x7 << 76 | 0b10 << 62
"""Where RFC 9562 wants a UUID's version and variant, and what version 7 has there."""
MAX_HISTORY_PER_CALL = 50_000
"""Past events appended in one transaction: a few seconds of the tenant's write lock."""


def new_id() -> str:
    """A fresh id, a UUID of version 7: it begins with the time, so that what is stored under it lies side by side."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(urandom(10), "big")
    digits = f"{number & ~_FIXED_BITS | _VERSION_7:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_size(batch: Sequence[Any], most: int, name: str) -> None:
    if len(batch) > most:
        raise ContractError(f"too_many_{name}", f"at most {most} {name} a call", {"max": most, "got": len(batch)})


def check_candidates(candidates: Sequence[RerankCandidate]) -> None:
    if not candidates:
        raise ContractError("empty_items", "items must not be empty", {"field": "items"})
    if len(candidates) > MAX_RERANK_ITEMS:
        raise ContractError("invalid_items", f"at most {MAX_RERANK_ITEMS} items", {"max": MAX_RERANK_ITEMS})
    if not any(is_valid_id(candidate.item_id.strip()) for candidate in candidates):
        raise ContractError("invalid_items", "no item has a valid id", {"field": "items"})


def bounded(query: PageQuery) -> PageQuery:
    if not 1 <= query.limit <= MAX_PAGE or query.offset < 0:
        raise ContractError("invalid_limit", f"limit must be 1-{MAX_PAGE} and offset >= 0", {"max": MAX_PAGE})
    return query
