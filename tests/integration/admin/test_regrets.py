"""The recommender's guardrails are set from the console, in range, and written into the trail."""

import pytest
from flask import Flask

from tests.integration.admin.conftest import SignIn
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)


@pytest.mark.ticket("RS-058")
def test_a_guardrail_is_set_and_one_out_of_range_is_refused_by_name(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    [first, *_] = told_engine.operations.guardrails()
    browser, form = sign_in("analyst"), {"tolerated": "0.3", "strength": "2", "floor": "0.4"}

    page = browser.get("/admin/regrets")
    saved = browser.post(f"/admin/regrets/{first.name}", data=form)
    words = browser.post(f"/admin/regrets/{first.name}", data={**form, "floor": "some"})
    beyond = browser.post(f"/admin/regrets/{first.name}", data={**form, "strength": "99"})
    now = next(one for one in told_engine.operations.guardrails() if one.name == first.name)

    assert page.status_code == 200
    assert (saved.status_code, words.status_code, beyond.status_code) == (303, 422, 422)
    assert 'href="#field-floor"' in words.text
    assert (now.tolerated, now.strength, now.floor) == (0.3, 2.0, 0.4)
    assert sign_in("viewer").post(f"/admin/regrets/{first.name}", data=form).status_code == 403
    assert browser.post("/admin/regrets/nobody", data=form).status_code == 404
