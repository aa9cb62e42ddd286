"""Staff who look at personal data leave a line in the audit trail, and the trail itself names no member."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

import run
from shop_app.accounts.models import User
from shop_app.admin.services import member_subject
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry
from tests.factories.accounts import a_member


@pytest.mark.ticket("RS-073")
@pytest.mark.ticket("RS-074")
def test_every_look_at_personal_data_is_written_down_under_a_hash(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    user_id, key = a_member(app, now=clock.now())
    _, staff_key = a_member(app, "help@shop.example", role="owner", now=clock.now())
    with app.app_context():
        login = db.session.scalars(select(User).where(User.key == staff_key)).one().get_id()
    with client.session_transaction() as session:
        session.update(_user_id=login, _fresh=True, confirmed_at=clock.now().timestamp())

    for path in ("/admin/members?q=grace", f"/admin/members/{user_id}", "/admin/orders?q=grace"):
        assert client.get(path).status_code == 200
    client.post(f"/admin/members/{user_id}/role", data={"role": "viewer"})

    with app.app_context():
        entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
            (staff_key, "people.listed", "members"),
            (staff_key, "people.opened", member_subject(key)),
            (staff_key, "orders.listed", "orders"),
            (staff_key, "people.role", member_subject(key)),
        ]
        assert not any("grace" in str(vars(entry)).lower() or key in str(vars(entry)) for entry in entries)


@pytest.mark.ticket("RS-016")
def test_the_access_log_says_what_was_asked_and_neither_who_asked_nor_what_for() -> None:
    said = set(re.findall(r"%\(([^)]+)\)s", run.ACCESS_LOG))

    assert said == {"t", "m", "U", "s", "B", "M"}  # time, method, path, status, bytes, milliseconds
