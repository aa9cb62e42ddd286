"""The open engines of one server process, one per organisation and namespace."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from recsys_engine.contract import ContractError, EngineUnavailableError, Health
from recsys_engine.contract.checks import is_valid_id
from recsys_engine.http.settings import ServerSettings
from recsys_engine.service import Database, Engine


class Tenants:
    """Opens engines on first use and closes the least recently used beyond ``max_tenants``."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._database = Database(settings.database_url)
        self._has_tables = False
        self._lock = threading.Lock()
        self._engines: OrderedDict[tuple[str, str], Engine] = OrderedDict()

    @property
    def count(self) -> int:
        return len(self._engines)

    def engine(self, org_id: str, namespace: str) -> Engine:
        """The engine of a namespace; raises ``ContractError`` for an impossible name."""
        if not is_valid_id(namespace):
            raise ContractError("invalid_namespace", "namespace is not a valid identifier", {"field": "namespace"})
        self._ensure_tables()
        key = (org_id, namespace)
        closing: Engine | None = None
        with self._lock:
            engine = self._engines.get(key)
            if engine is None:
                engine = Engine(
                    self._database,
                    org_id,
                    namespace,
                    self._clock,
                    decision_sample_rate=self._settings.decision_sample_rate,
                    decision_days=self._settings.decision_days,
                    model_folder=self._settings.model_folder,
                )
                self._engines[key] = engine
                if len(self._engines) > self._settings.max_tenants:
                    _, closing = self._engines.popitem(last=False)
            self._engines.move_to_end(key)
        if closing is not None:
            closing.close()
        return engine

    def ready(self) -> Health:
        """Database reachable and every open tenant close behind its log."""
        try:
            self._ensure_tables()
            with self._database.read():
                pass
        except EngineUnavailableError as error:
            return Health("degraded", ("database",), {"database": str(error)})
        with self._lock:
            engines = dict(self._engines)
        for (org_id, namespace), engine in engines.items():
            verdict = engine.ready()
            if not verdict.is_ok:
                return Health("degraded", verdict.failing, {f"{org_id}/{namespace}": dict(verdict.details)})
        return Health("ok", (), {"tenants": len(engines)})

    def close(self) -> None:
        """Write what is buffered and close everything."""
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            engine.close()
        self._database.close()

    def _ensure_tables(self) -> None:
        if not self._has_tables:
            self._database.create_tables()
            self._has_tables = True
