"""The panel of switches: saved with a version, seen by a second editor, brought back with one click."""

import pytest
from flask import Flask

from shop_app.site_settings import flags
from tests.integration.admin.conftest import SignIn

ALL_ON = {f"flag_{name}": "on" for name in flags.NAMES}


def state(app: Flask) -> tuple[set[str], int]:
    with app.app_context():
        values, version = flags.flags_now()
    return {name for name, is_on in values.items() if not is_on}, version


@pytest.mark.ticket("RS-068")
def test_switches_are_saved_with_a_version_and_come_back_with_one_click(app: Flask, sign_in: SignIn) -> None:
    browser = sign_in("owner", confirmed=True)
    quiet = {name: value for name, value in ALL_ON.items() if name != "flag_exploration"}

    saved = browser.post("/admin/flags", data={**quiet, "version": "0"})
    off = state(app)
    late = browser.post("/admin/flags", data={**ALL_ON, "version": "0"})
    page = browser.get("/admin/flags").text
    browser.post("/admin/flags/versions/0/restoring", data={"version": "1"})
    on = state(app)
    browser.post("/admin/flags/versions/1/restoring", data={"version": "2"})

    assert (saved.status_code, late.status_code) == (303, 409)
    assert off == ({"exploration"}, 1)
    assert "<strong>Off now:</strong> exploration." in page
    assert "exploration: <del>on</del> <ins>off</ins>" in page
    assert on == (set(), 2)
    assert state(app) == ({"exploration"}, 3)


def test_only_the_owner_switches_and_types_the_password_again(app: Flask, sign_in: SignIn) -> None:
    assert sign_in("merchandiser").post("/admin/flags", data={"version": "0"}).status_code == 403
    assert "confirm_password" in sign_in("owner").post("/admin/flags", data={"version": "0"}).text
    assert state(app) == (set(), 0)
