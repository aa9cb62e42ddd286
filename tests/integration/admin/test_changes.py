"""What staff change: slots with versions, event weights at the recommender, products, orders, members, deliveries."""

import html
import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from shop_app.accounts.models import User
from shop_app.catalog.models import Product
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from shop_app.site_settings.models import AuditEntry
from shop_app.site_settings.queries import slot_settings
from shop_app.tracking.models import TrackedEvent
from tests.factories.analytics import a_member, an_event, an_order
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn

SLOT = "/admin/slots/home.top_picks"


def slot_form(**changes):
    return {"version": "0", "title": "Picked for you", "k": "8", "brand_cap": "0", "category_cap": "0", "is_on": "on",
            "has_fallback": "on", "is_above_fold": "on", "experiment": "", **changes}  # fmt: skip


@pytest.mark.ticket("RS-068")
def test_a_slot_is_switched_off_at_run_time_and_brought_back_with_one_click(app: Flask, sign_in: SignIn) -> None:
    browser = sign_in("merchandiser")
    off = slot_form(title="Only today", k="12")
    del off["is_on"]

    saved = browser.post(SLOT, data=off)
    with app.app_context():
        live = slot_settings("home.top_picks")
        assert (live.is_on, live.title, live.k, live.version) == (False, "Only today", 12, 1)
    browser.post(SLOT, data=slot_form(version="1", k="6"))
    history = browser.get(SLOT).text
    restored = browser.post(f"{SLOT}/versions/1/restoring", data={"version": "2"})

    assert (saved.status_code, restored.status_code) == (303, 303)
    assert "Cards: <del>8</del> <ins>12</ins>" in history
    with app.app_context():
        live = slot_settings("home.top_picks")
        assert (live.is_on, live.title, live.k, live.version) == (False, "Only today", 12, 3)
        assert db.session.scalar(select(func.count(AuditEntry.id))) == 3


def test_the_second_of_two_editors_sees_both_versions_and_nothing_is_lost(app: Flask, sign_in: SignIn) -> None:
    first, second = sign_in("merchandiser"), sign_in("merchandiser")

    first.post(SLOT, data=slot_form(title="From the first"))
    late = second.post(SLOT, data=slot_form(title="From the second"))

    assert late.status_code == 409
    assert "From the first" in late.text
    assert "From the second" in late.text
    with app.app_context():
        assert slot_settings("home.top_picks").title == "From the first"
    assert 'name="version" value="1"' in late.text


@pytest.mark.parametrize(("field", "value"), [("k", "0"), ("k", "25"), ("title", " "), ("brand_cap", "-1")])
def test_a_bad_value_of_a_slot_is_named_and_not_saved(app: Flask, sign_in: SignIn, field: str, value: str) -> None:
    answer = sign_in("merchandiser").post(SLOT, data=slot_form(**{field: value}))

    assert answer.status_code == 422
    assert f'href="#field-{field}"' in answer.text
    with app.app_context():
        assert slot_settings("home.top_picks").version == 0


@pytest.mark.ticket("RS-064")
def test_weights_and_half_lives_are_set_at_the_recommender(app: Flask, sign_in: SignIn) -> None:
    browser = sign_in("analyst")
    form = dict(
        re.findall(r'name="((?:weight|half_life)_\d)"[^>]*value="([^"]*)"', browser.get("/admin/event-types").text)
    )
    seen = seen_of(browser)

    answer = browser.post("/admin/event-types", data={**form, "weight_1": "0.45", "half_life_1": "9", "seen": seen})

    assert answer.status_code == 303
    with app.app_context():
        click = app.extensions["recsys"].event_types()[1]
        assert (click.type, click.weight, click.half_life_days) == (1, 0.45, 9.0)
        entry = db.session.scalars(select(AuditEntry)).one()
        assert entry.action == "engine.event_types"
        assert entry.after["types"][1]["weight"] == 0.45


def test_weights_changed_by_somebody_else_meanwhile_are_not_overwritten(app: Flask, sign_in: SignIn) -> None:
    first, second = sign_in("analyst"), sign_in("analyst")
    form = dict(
        re.findall(r'name="((?:weight|half_life)_\d)"[^>]*value="([^"]*)"', first.get("/admin/event-types").text)
    )
    seen = seen_of(first)

    first.post("/admin/event-types", data={**form, "weight_0": "0.11", "seen": seen})
    late = second.post("/admin/event-types", data={**form, "weight_0": "0.99", "seen": seen})

    assert late.status_code == 409
    assert app.extensions["recsys"].event_types()[0].weight == 0.11


@pytest.mark.parametrize("weight", ["0", "-1", "abc", "101", "1e3"])
def test_a_weight_that_is_none_is_refused(app: Flask, sign_in: SignIn, weight: str) -> None:
    browser = sign_in("analyst")
    form = dict(
        re.findall(r'name="((?:weight|half_life)_\d)"[^>]*value="([^"]*)"', browser.get("/admin/event-types").text)
    )
    before = app.extensions["recsys"].event_types()

    answer = browser.post("/admin/event-types", data={**form, "weight_2": weight, "seen": seen_of(browser)})

    assert answer.status_code == 422
    assert app.extensions["recsys"].event_types() == before


@pytest.mark.ticket("RS-065")
def test_resync_marks_every_item_and_member_once(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    with app.app_context():
        for n in range(7):
            a_product(f"P-{n}")
        a_member(clock.now())
        db.session.commit()
    browser = sign_in("owner", confirmed=True)

    browser.post("/admin/resyncs", data={"items": "on", "users": "on"})
    browser.post("/admin/resyncs", data={"items": "on", "users": "on"})

    assert "7 items, 2 users" in browser.get("/admin/delivery").text.replace("\n", " ")
    with app.app_context():
        rows = db.session.execute(select(ChangedEntity.kind, func.count()).group_by(ChangedEntity.kind)).all()
        assert dict(map(tuple, rows)) == {"item": 7, "user": 2}
        assert set(db.session.scalars(select(ChangedEntity.version))) == {2}


def test_dead_letters_are_shown_with_code_and_path_and_sent_again(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        refusal = {
            "delivery": "dead", "error_code": "invalid_timestamp", "error_path": "events[3].ts", "error_schema": 7,
        }  # fmt: skip
        first, second = (an_event(EventKind.CLICK, clock.now(), attempts=3, **refusal) for _ in range(2))
        db.session.commit()
        chosen, left = first.id, second.id
    browser = sign_in("support")

    shown = browser.get("/admin/dead-letters").text
    browser.post("/admin/dead-letters/requeueing", data={"ids": [str(chosen)], "which": "ticked"})

    assert shown.count("events[3].ts") == 3  # the reason and two rows
    assert "under schema 7" in shown
    assert shown.count("<td>7</td>") == 2
    with app.app_context():
        states = {i: db.session.get_one(TrackedEvent, i) for i in (chosen, left)}
        assert (states[chosen].delivery, states[chosen].attempts, states[chosen].error_schema) == ("pending", 0, 7)
        assert states[left].delivery == "dead"


@pytest.mark.ticket("RS-052")
def test_a_dead_letter_is_seen_whole_mended_and_sent_again(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    with app.app_context():
        refusal = {"delivery": "dead", "error_code": "invalid_value", "error_path": "value", "last_error": "too much"}
        dead = an_event(EventKind.CLICK, clock.now(), attempts=3, item_id="MUG", value=2e6, error_schema=1, **refusal)
        db.session.commit()
        event_id = dead.id
    browser = sign_in("support")

    reasons = browser.get("/admin/dead-letters").text
    wrong = browser.post(f"/admin/dead-letters/{event_id}/mending", data={"item_id": "MUG 1", "value": "nan"})
    right = browser.post(f"/admin/dead-letters/{event_id}/mending", data={"item_id": "MUG-1", "value": "2"})
    late = browser.post(f"/admin/dead-letters/{event_id}/mending", data={"item_id": "MUG-1", "value": "3"})

    assert "first received 2 Mar 2026, 10:00" in reasons
    assert (wrong.status_code, right.status_code, late.status_code) == (422, 303, 409)
    assert "field-value-error1" in wrong.text
    with app.app_context():
        row = db.session.get_one(TrackedEvent, event_id)
        assert (row.delivery, row.item_id, row.value, row.attempts) == ("pending", "MUG-1", 2.0, 0)
        assert (row.error_code, row.last_error, row.error_schema) == (None, None, 1)
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "events.mend")).one()
        assert entry.before == {"item_id": "MUG", "value": 2e6, "error": "invalid_value"}


def test_a_product_is_edited_and_recsys_is_told(app: Flask, sign_in: SignIn) -> None:
    with app.app_context():
        product = a_product("MUG-1", price=1250, stock=3)
        db.session.commit()
        product_id, variant = product.id, product.variants[0].id
        db.session.query(ChangedEntity).delete()
        db.session.commit()
    form = {"title": "A better mug", "description": "Good.", "status": "active", "compare_at": "20",
            f"price_{variant}": "15.99", f"stock_{variant}": "40"}  # fmt: skip

    answer = sign_in("merchandiser").post(f"/admin/products/{product_id}", data=form)

    assert answer.status_code == 303
    with app.app_context():
        product = db.session.get_one(Product, product_id)
        assert (product.title, product.price_minor, product.compare_at_minor, product.stock) == (
            "A better mug",
            1599,
            2000,
            40,
        )
        assert db.session.scalars(select(ChangedEntity)).one().entity_id == product_id
        entry = db.session.scalars(select(AuditEntry)).one()
        assert (entry.before["price_minor"], entry.after["price_minor"]) == (1250, 1599)


def test_many_products_change_together(app: Flask, sign_in: SignIn) -> None:
    with app.app_context():
        for n in range(3):
            a_product(f"P-{n}", price=1000 + n)
        db.session.commit()
    browser = sign_in("merchandiser")

    browser.post("/admin/products/changes", data={"skus": ["P-0", "P-2"], "action": "price", "number": "-10"})
    browser.post("/admin/products/changes", data={"skus": ["P-1"], "action": "hidden"})

    with app.app_context():
        found = {p.sku: (p.price_minor, p.status) for p in db.session.scalars(select(Product))}
        assert found == {"P-0": (900, "active"), "P-1": (1001, "hidden"), "P-2": (902, "active")}


def test_an_order_is_cancelled_and_the_stock_comes_back(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    with app.app_context():
        product = a_product("MUG-1", stock=5)
        order = an_order(clock.now() - timedelta(hours=1), [product])
        order.lines[0].variant_id = product.variants[0].id
        number, quantity = order.number, order.lines[0].quantity
        db.session.commit()

    answer = sign_in("support", confirmed=True).post(f"/admin/orders/{number}/cancellation")

    assert answer.status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Product.stock)).one() == 5 + quantity
        assert db.session.scalars(select(AuditEntry.action)).all() == ["orders.cancelled"]
        refund = db.session.scalars(select(TrackedEvent).where(TrackedEvent.type == int(EventKind.CUSTOM))).one()
        assert refund.meta["kind"] == "refund"


def test_a_new_role_signs_the_member_out_and_nobody_changes_their_own(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    browser = sign_in("owner", confirmed=True)
    with app.app_context():
        other = a_member(clock.now())
        own = db.session.scalars(select(User.id).where(User.role == "owner")).one()
        db.session.commit()
        other_id, epoch = other.id, other.session_epoch

    changed = browser.post(f"/admin/members/{other_id}/role", data={"role": "analyst"})
    own_change = browser.post(f"/admin/members/{own}/role", data={"role": "viewer"})

    assert (changed.status_code, own_change.status_code) == (303, 409)
    with app.app_context():
        user = db.session.get_one(User, other_id)
        assert (user.role, user.session_epoch) == ("analyst", epoch + 1)
        assert db.session.get_one(User, own).role == "owner"


def test_a_tampered_audit_trail_is_noticed(app: Flask, sign_in: SignIn) -> None:
    sign_in("merchandiser").post(SLOT, data=slot_form(title="One"))
    owner = sign_in("owner")
    trail = owner.get("/admin/audit").text
    assert "The chain of hashes is whole" in trail
    assert re.search(r'<td class="small">[^<]+<span class="under mono">u_', trail)  # who, by name and key

    with app.app_context():
        db.session.scalars(select(AuditEntry)).one().actor = "u_somebody_else"
        db.session.commit()

    assert "The chain breaks at entry 1" in owner.get("/admin/audit").text


def seen_of(browser) -> str:
    return html.unescape(re.search(r'name="seen" value="([^"]*)"', browser.get("/admin/event-types").text).group(1))
