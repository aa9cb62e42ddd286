"""Statements run past the statement layer find what the session finds."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead
from shop_app.tracking.models import Tombstone

ERASED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_stone = Tombstone.__table__
_by_keys = PlainRead(
    select(_stone.c.key_hash, _stone.c.erased_at)
    .where(_stone.c.key_hash.in_(bindparam("keys", expanding=True)), _stone.c.key_hash != "never")
    .order_by(_stone.c.key_hash)
)
_by_key = PlainRead(select(_stone.c.key_hash).where(_stone.c.key_hash == bindparam("key")))


def _bury(*keys: str) -> None:
    db.session.add_all(Tombstone(key_hash=key, erased_at=ERASED) for key in keys)


def test_lists_of_any_length_and_types_of_columns(app: Flask) -> None:
    with app.app_context(), unit_of_work(db.session):
        _bury("a", "b", "never")

    with app.app_context():
        one, three = _by_keys(keys=["b"]), _by_keys(keys=["b", "a", "never"])

    assert one == [("b", ERASED)]
    assert three == [("a", ERASED), ("b", ERASED)]


def test_without_a_transaction_no_session_is_opened(app: Flask) -> None:
    with app.app_context():
        assert _by_keys(keys=["a"]) == []

        assert not db.session.registry.has()


def test_inside_a_transaction_it_sees_what_was_flushed(app: Flask) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            _bury("mine")
            db.session.flush()
            assert _by_key(key="mine") == [("mine",)]
            db.session.rollback()

        assert _by_key(key="mine") == []


def test_a_refused_statement_is_an_error_of_sqlalchemy_and_the_next_one_works(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(DBAPIError):
            _by_key(key=object())
        db.session.rollback()

        assert _by_key(key="a") == []
