"""Where a `next` may lead."""

import pytest

from shop_app.core.links import local_path


@pytest.mark.parametrize("path", ["/", "/account", "/search?q=mug&page=2", "/orders/RS-1#lines", "/a//b"])
def test_paths_of_the_shop_are_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        None, "", "account", "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/a\\b",
        "javascript:alert(1)", "/a b", "/a\nSet-Cookie: x", "/\t/evil.example", " /account", "/\x00", "/" + "x" * 600,
    ],
)  # fmt: skip
def test_everything_else_is_not(text: str | None) -> None:
    assert local_path(text, "/default") == "/default"
