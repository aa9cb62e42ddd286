"""The catalogue here and at Recsys, field by field."""

from dataclasses import replace

import pytest

from recsys_engine.contract import Item
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed
from shop_app.sync.differences import catalogue_differences, mark_for_sync
from shop_app.sync.services import Carrier, push_items
from tests.factories.catalog import a_product
from tests.fakes import FakeGateway


@pytest.mark.ticket("RS-067")
@pytest.mark.usefixtures("app_context")
def test_every_difference_is_found_named_and_mended(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    with unit_of_work(db.session):
        mark_changed("item", [a_product(f"SKU-{n}").id for n in range(4)], clock.now())
    push_items(carrier)
    assert catalogue_differences(carrier.gateway, carrier.site_url) == []

    recsys.items["SKU-0"] = replace(
        recsys.items["SKU-0"], price=1.0, tags=(), props={**recsys.items["SKU-0"].props, "stock": -7}
    )
    del recsys.items["SKU-1"]
    recsys.items["GHOST"] = Item("GHOST", available=True)
    recsys.items["OLD"] = Item("OLD", available=False)
    found = catalogue_differences(carrier.gateway, carrier.site_url)

    assert [(d.item_id, d.field) for d in found] == [
        ("GHOST", "unknown"), ("SKU-0", "price"), ("SKU-0", "props.stock"), ("SKU-0", "tags"), ("SKU-1", "missing"),
    ]  # fmt: skip
    assert (found[1].here, found[1].there, found[2].there) == (12.5, 1.0, -7)
    with unit_of_work(db.session):
        assert mark_for_sync(found, clock.now()) == 2
    push_items(carrier)
    assert [d.item_id for d in catalogue_differences(carrier.gateway, carrier.site_url)] == ["GHOST"]
