"""Is the process alive, and can the shop sell? Each failing part is named."""

import logging
from datetime import timedelta
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shop_app.extensions import db, handle
from shop_app.recsys.gateway import RecsysError
from shop_app.tracking.delivery import oldest_pending

bp = Blueprint("health", __name__)
log = logging.getLogger(__name__)

MAX_DELIVERY_LAG = timedelta(minutes=2)
"""Events usually leave within two seconds; so much later a worker is missing."""


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """The process answers. Nothing else is touched, so that a slow database does not get it killed."""
    return jsonify(status="ok")


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """503 when the shop cannot sell (no database); 200 otherwise, with every part that is down named.

    Without Redis, worker or recommender the shop still sells, so a load balancer must not take it away.
    """
    failing: list[str] = []
    failing += ["database"] if not _database_answers() else ["delivery"] if _is_delivery_late() else []
    failing += [] if _redis_answers() else ["redis"]
    failing += _failing_at_recsys()
    status = "failing" if "database" in failing else "degraded" if failing else "ok"
    return jsonify(status=status, failing=failing), 503 if status == "failing" else 200


def _database_answers() -> bool:
    try:
        db.session.execute(db.text("SELECT 1 FROM tracked_event LIMIT 1"))
    except SQLAlchemyError as error:
        log.error("database_down", extra={"reason": type(error).__name__})  # noqa: TRY400  (the page needs no trace)
        db.session.rollback()
        return False
    return True


def _is_delivery_late() -> bool:
    oldest = oldest_pending()
    return oldest is not None and handle("clock").now() - oldest > MAX_DELIVERY_LAG


def _redis_answers() -> bool:
    try:
        return bool(handle("alarm").ping())
    except RedisError:
        return False


def _failing_at_recsys() -> list[str]:
    gateway: Any = handle("recsys")
    if gateway is None:
        return ["recsys"]
    try:
        health = gateway.ready()
    except RecsysError:
        return ["recsys"]
    return [] if health.is_ok else [f"recsys:{part}" for part in health.failing] or ["recsys"]
