"""The shop starts, answers and says no politely."""

import pytest
from flask.testing import FlaskClient


def test_the_home_page_answers_with_the_security_headers(client: FlaskClient) -> None:
    response = client.get("/")

    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "private, no-store"


def test_an_unknown_page_is_a_friendly_404(client: FlaskClient) -> None:
    response = client.get("/nothing-here")

    assert response.status_code == 404
    assert "<h1>" in response.text


@pytest.mark.parametrize("path", ["/static/fonts/instrument-serif-latin-400-normal.woff2", "/static/css/base.css?v=1"])
def test_fonts_and_versioned_files_are_fetched_once_for_good(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    response.close()

    assert "immutable" in response.headers["Cache-Control"]
    assert "Cookie" not in response.headers.get("Vary", "")
