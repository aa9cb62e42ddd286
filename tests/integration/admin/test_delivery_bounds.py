"""The bounds within which workers feel their way: saved with a version, refused when wrong, brought back."""

import pytest
from flask import Flask

from shop_app.site_settings.delivery import DEFAULTS, as_values, delivery_settings_now
from tests.integration.admin.conftest import SignIn

AS_DELIVERED = {name: str(value) for name, value in as_values(DEFAULTS).items()}


def stored(app: Flask) -> tuple[int, int]:
    with app.app_context():
        settings, version = delivery_settings_now()
    return settings.events_largest, version


@pytest.mark.ticket("RS-075")
def test_bounds_are_saved_with_a_version_and_come_back_with_one_click(app: Flask, sign_in: SignIn) -> None:
    browser = sign_in("owner")

    saved = browser.post("/admin/delivery/bounds", data={**AS_DELIVERED, "events_largest": "300", "version": "0"})
    after = stored(app)
    late = browser.post("/admin/delivery/bounds", data={**AS_DELIVERED, "version": "0"})
    page = browser.get("/admin/delivery/bounds").text
    browser.post("/admin/delivery/bounds/versions/0/restoring", data={"version": "1"})

    assert (saved.status_code, late.status_code) == (303, 409)
    assert after == (300, 1)
    assert "Events a call, at most: <del>500</del> <ins>300</ins>" in page
    assert stored(app) == (500, 2)


@pytest.mark.ticket("RS-075")
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"events_largest": "1001"}, "events_largest"),
        ({"events_at_once": "0"}, "events_at_once"),
        ({"items_largest": "many"}, "items_largest"),
        ({"events_smallest": "400", "events_largest": "300"}, "events_smallest"),
    ],
)
def test_bounds_beyond_what_a_call_may_carry_are_refused(
    app: Flask, sign_in: SignIn, wrong: dict[str, str], field: str
) -> None:
    answer = sign_in("owner").post("/admin/delivery/bounds", data={**AS_DELIVERED, **wrong, "version": "0"})

    assert answer.status_code == 422
    assert f'href="#field-{field}"' in answer.text
    assert stored(app) == (500, 0)


def test_who_may_only_look_changes_nothing(app: Flask, sign_in: SignIn) -> None:
    viewer = sign_in("viewer")

    assert viewer.get("/admin/delivery/bounds").status_code == 200
    assert viewer.post("/admin/delivery/bounds", data={**AS_DELIVERED, "version": "0"}).status_code == 403
    assert stored(app) == (500, 0)
