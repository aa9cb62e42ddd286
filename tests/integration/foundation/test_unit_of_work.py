"""One transaction: all or nothing, and no lost update on either database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from shop_app.outbox.services import mark_changed
from shop_app.site_settings.models import SiteSetting
from shop_app.sqlite import WriterGate

AT = datetime(2026, 3, 2, tzinfo=UTC)


def _setting(values: dict[str, int]) -> SiteSetting:
    return SiteSetting(key="k", values=values, updated_at=AT, updated_by="me")


def test_a_failing_block_leaves_nothing(app: Flask) -> None:
    def write_and_fail() -> None:
        with unit_of_work(db.session):
            db.session.add(_setting({}))
            db.session.flush()
            raise RuntimeError("half-way")

    with app.app_context(), pytest.raises(RuntimeError, match="half-way"):
        write_and_fail()

    with app.app_context():
        assert db.session.get(SiteSetting, "k") is None


def test_unsaved_changes_from_outside_are_refused(app: Flask) -> None:
    with app.app_context():
        db.session.add(_setting({}))

        with pytest.raises(RuntimeError, match="outside this unit of work"), unit_of_work(db.session):
            pass

        db.session.rollback()


@pytest.mark.ticket("RS-007")
def test_marks_from_many_threads_make_one_row_whose_version_counts_them(app: Flask) -> None:
    def mark(_: int) -> None:
        with app.app_context(), unit_of_work(db.session):
            mark_changed("item", [7, 3], AT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(mark, range(40)))

    with app.app_context():
        rows = db.session.scalars(select(ChangedEntity).order_by(ChangedEntity.entity_id)).all()
        assert [(row.kind, row.entity_id, row.version) for row in rows] == [("item", 3, 40), ("item", 7, 40)]


def test_writers_of_one_file_take_turns_and_a_writer_gives_up_when_patience_is_over(tmp_path: Path) -> None:
    one, other = WriterGate(f"{tmp_path}/shop.sqlite3"), WriterGate(f"{tmp_path}/shop.sqlite3")

    assert one.enter(1.0)
    assert not other.enter(0.002)
    assert not one.enter(0.002)
    one.leave()

    assert other.enter(1.0)
    other.leave()


def test_without_a_place_for_its_file_there_is_no_gate(tmp_path: Path) -> None:
    nowhere = WriterGate(f"{tmp_path}/missing/shop.sqlite3")

    assert not nowhere.enter(1.0)
    assert not nowhere.enter(1.0)
    assert not WriterGate(":memory:").enter(1.0)
