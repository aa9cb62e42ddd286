"""A catalogue file through the console: looked at first, stored after the password, told to Recsys, written in the audit trail."""

import gzip
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.catalog.importing.uploads import MAX_ROWS, MAX_UPLOAD_BYTES, keep_upload
from shop_app.catalog.models import CatalogueUpload, Product
from shop_app.core.clock import FixedClock
from shop_app.core.errors import InvalidInput
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from shop_app.site_settings.models import AuditEntry
from tests.factories.analytics import PASSWORD
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn

FILE = """sku,title,category,price,stock
MUG-1,A better mug,Kitchen,12.50,4
BOWL,Bowl,Kitchen,7,9
CUP,Cup,Kitchen,cheap,9
=SUM(A1),<b>Formula</b>,Kitchen,1,1
"""


def upload(browser: FlaskClient, name: str, content: str | bytes):
    data = content.encode() if isinstance(content, str) else content
    return browser.post("/admin/products/imports", data={"file": (io.BytesIO(data), name)})


def fingerprint(page: str) -> str:
    return re.findall(r'name="fingerprint" value="(\w+)"', page)[0]


def cells(page: str, label: str) -> list[list[str]]:
    table = re.findall(rf'aria-label="{label}".*?</table>', page, re.DOTALL)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", one)] for one in rows]


@pytest.fixture
def mug(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        a_product("MUG-1", title="Mug", stock=3)
        db.session.query(ChangedEntity).delete()
        db.session.commit()


def test_a_file_is_shown_before_it_is_stored_and_stored_as_it_was_shown(app: Flask, sign_in: SignIn, mug: None) -> None:
    browser = sign_in("merchandiser")
    preview = upload(browser, "goods.csv", FILE)
    page = browser.get(preview.location).text
    table = browser.get(f"{preview.location}.csv").text
    with app.app_context():
        untouched = db.session.scalars(select(Product.title)).all(), db.session.query(ChangedEntity).count()
    unsaid = browser.post(f"{preview.location}/storing", data={"fingerprint": fingerprint(page)})
    said = {"fingerprint": fingerprint(page), "confirm_password": PASSWORD}
    stored = browser.post(f"{preview.location}/storing", data=said, follow_redirects=True)
    twice = browser.post(f"{preview.location}/storing", data=said)

    assert preview.status_code == 303
    assert ["Title", "Mug", "A better mug"] in [row[-3:] for row in cells(page, "Changed products")]
    assert [row[0] for row in cells(page, "New products")] == ["BowlBOWL", "&lt;b&gt;Formula&lt;/b&gt;SUM-A1"]
    assert cells(page, "Refused rows") == [["4", "price", "is not an amount: &#39;cheap&#39;"]]
    assert '"3","new","BOWL","title","","Bowl"' in table
    assert untouched == (["Mug"], 0)
    assert unsaid.status_code == 403
    assert 'name="fingerprint"' in unsaid.text
    assert "2 created, 1 changed, 0 unchanged, 1 left out" in stored.text
    assert twice.status_code == 409
    with app.app_context():
        assert sorted(db.session.scalars(select(Product.title))) == ["<b>Formula</b>", "A better mug", "Bowl"]
        assert db.session.query(ChangedEntity).count() == 3
        [entry] = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "catalog.import"))
        assert (entry.subject, entry.after) == (
            "goods.csv",
            {"created": 2, "changed": 1, "unchanged": 0, "refused": 1},
        )


def test_what_was_not_looked_at_is_not_stored(app: Flask, sign_in: SignIn, mug: None) -> None:
    browser = sign_in("merchandiser", confirmed=True)
    preview = upload(browser, "goods.csv", FILE).location
    seen = fingerprint(browser.get(preview).text)
    with app.app_context():
        a_product("BOWL", title="Somebody else's bowl")
        db.session.commit()

    answer = browser.post(f"{preview}/storing", data={"fingerprint": seen})

    assert answer.status_code == 409
    assert "The catalogue has changed since you looked" in answer.text
    with app.app_context():
        assert "Mug" in db.session.scalars(select(Product.title)).all()
    assert browser.post(f"{preview}/storing", data={"fingerprint": fingerprint(answer.text)}).status_code == 303


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("goods.csv", b"", "not empty"),
        ("goods.pdf", b"%PDF", "expected .csv"),
        ("goods.parquet", b"PAR1", "Parquet files are not opened here"),
        ("goods.csv.gz", gzip.compress(b"0" * 50_000_000), "too large unpacked"),
        ("goods.csv.gz", b"sku,title", "is no gzip file"),
        ("goods.csv.gz", gzip.compress(b"sku") + gzip.compress(b"title"), "in several parts"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(
    app: Flask, sign_in: SignIn, name: str, content: bytes, word: str
) -> None:
    answer = upload(sign_in("merchandiser"), name, content)

    assert answer.status_code == 422
    assert word in answer.text
    assert 'role="alert"' in answer.text
    with app.app_context():
        assert db.session.query(CatalogueUpload).count() == 0


def test_a_file_beyond_the_bound_is_not_kept(app: Flask, clock: FixedClock) -> None:
    with app.app_context(), pytest.raises(InvalidInput) as refusal:
        keep_upload("goods.csv", b"x" * (MAX_UPLOAD_BYTES + 1), "u_staff", clock.now())

    assert refusal.value.fields["file"][0].startswith("At most 4 MB here.")


def test_too_many_rows_are_for_the_command(sign_in: SignIn) -> None:
    browser = sign_in("merchandiser")
    long = "sku,title,category,price\n" + "\n".join(f"S{n},T,C,1" for n in range(MAX_ROWS + 1))
    packed = upload(browser, "long.csv.gz", gzip.compress(long.encode()))

    answer = browser.get(packed.location)

    assert answer.status_code == 422
    assert "More than 2,000 rows" in answer.text


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("support", 403), ("merchandiser", 200), ("owner", 200)])
def test_only_who_may_edit_products_may_import(sign_in: SignIn, role: str, status: int) -> None:
    assert sign_in(role).get("/admin/products/imports/new").status_code == status
