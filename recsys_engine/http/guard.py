"""Who may call: organisation header, API key with roles, rate limit. In that order."""

import hmac
import threading
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from recsys_engine.contract.errors import ContractError
from recsys_engine.http.settings import ApiKey

MAX_BUCKETS = 10_000


@lru_cache(maxsize=1024)
def org_of(value: str) -> str:
    """The organisation ``X-Org-ID`` names; raises ``missing_org_id`` or ``invalid_org_id``."""
    if not value:
        raise ContractError("missing_org_id", "X-Org-ID is required")
    try:
        return str(UUID(value))
    except ValueError as error:
        raise ContractError("invalid_org_id", "X-Org-ID must be a UUID", {"value": value[:100]}) from error


def key_of(sent: str, authorization: str) -> str:
    """The key sent as ``X-API-Key`` or as a bearer token, empty without one."""
    return sent or (authorization[7:].strip() if authorization[:7].lower() == "bearer " else "")


def authorise(keys: tuple[ApiKey, ...], sent: str, org_id: str, role: str) -> None:
    """Raise ``unauthorized`` for an unknown key and ``forbidden`` for a wrong organisation or role."""
    if not keys:
        return
    digest = sha256(sent.encode("utf-8", "replace")).hexdigest()
    known = [key for key in keys if hmac.compare_digest(key.digest, digest)]
    if not sent or not known:
        raise ContractError("unauthorized", "a valid API key is required")
    for key in known:
        allows_org = "*" in key.org_ids or org_id in key.org_ids
        if allows_org and (role in key.roles or "admin" in key.roles):
            return
    raise ContractError("forbidden", "this key may not do that here", {"role": role})


class RateLimit:
    """Token bucket per caller: ``burst`` at once, refilled at ``per_minute``. 0 switches it off."""

    def __init__(self, per_minute: int, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._burst = max(burst, 1)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, caller: str) -> float:
        """0 when the call may pass now, else the seconds until it may."""
        if self._rate <= 0:
            return 0.0
        now = self._monotonic()
        with self._lock:
            tokens, at = self._buckets.get(caller, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - at) * self._rate)
            if tokens < 1:
                return (1 - tokens) / self._rate
            if len(self._buckets) >= MAX_BUCKETS and caller not in self._buckets:
                self._buckets.pop(next(iter(self._buckets)))
            self._buckets[caller] = (tokens - 1, now)
            return 0.0
