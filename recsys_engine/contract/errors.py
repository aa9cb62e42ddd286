"""Error codes of the contract and the exceptions that carry them."""

from collections.abc import Mapping
from typing import Any


class EngineError(Exception):
    """Root of everything the engine raises on purpose."""


class ContractError(EngineError):
    """The caller's mistake: repeating the same call will fail again."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}

    @property
    def status(self) -> int:
        """HTTP status that belongs to the code; unknown codes are plain bad requests."""
        return STATUS_OF_CODE.get(self.code, 400)


class EngineUnavailableError(EngineError):
    """The engine cannot answer now (database away, model loading); the same call may work later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


STATUS_OF_CODE: Mapping[str, int] = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "rule_not_found": 404,
    "override_not_found": 404,
    "decision_not_found": 404,
    "policy_not_found": 404,
    "item_not_found": 404,
    "evaluation_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "version_conflict": 409,
    "id_conflict": 409,
    "unique_violation": 409,
    "body_too_large": 413,
    "too_many_items": 413,
    "too_many_users": 413,
    "too_many_events": 413,
    "invalid_weight": 422,
    "invalid_half_life": 422,
    "foreign_key_violation": 422,
    "constraint_violation": 422,
    "rate_limited": 429,
    "internal": 500,
    "service_unavailable": 503,
}
"""Every code that is not a plain 400."""
