"""The verbs of the contract."""

from recsys_engine.service.engine import Engine
from recsys_engine.service.retention import DECISION_DAYS
from recsys_engine.store.database import Database

__all__ = ["DECISION_DAYS", "Database", "Engine"]
