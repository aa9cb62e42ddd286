"""The verbs of the contract."""

from recsys_engine.service.engine import Engine
from recsys_engine.store.database import Database

__all__ = ["Database", "Engine"]
