"""Limits on what one call may carry, checked before anything else."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from recsys_engine.contract.checks import is_valid_id
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import MAX_PAGE, MAX_RERANK_ITEMS
from recsys_engine.contract.requests import PageQuery, RerankCandidate

MAX_HISTORY_PER_CALL = 50_000
"""Past events appended in one transaction: a few seconds of the tenant's write lock."""


def new_id() -> str:
    """A fresh request id."""
    return str(uuid4())


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
