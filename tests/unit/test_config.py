"""Settings stop the start when they are wrong, and the example file tells the truth."""

from pathlib import Path

import pytest

from shop_app.config import Settings, example_env, load_settings
from shop_app.core.errors import InvalidInput

SECRET = "s" * 40


def test_defaults_need_only_a_secret() -> None:
    settings = load_settings({"SECRET_KEY": SECRET})

    assert settings.currency == "GBP"
    assert settings.qa_mode is False
    assert settings.recsys_base_url == ""


@pytest.mark.ticket("RS-030")
def test_where_recsys_lives_comes_from_the_environment() -> None:
    settings = load_settings(
        {"SECRET_KEY": SECRET, "RECSYS_BASE_URL": "http://r:1", "RECSYS_NAMESPACE": "uk", "RECSYS_API_KEY": "k"}
    )

    assert (settings.recsys_base_url, settings.recsys_namespace, settings.recsys_api_key) == ("http://r:1", "uk", "k")


def test_every_bad_variable_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_settings(
            {"QA_MODE": "maybe", "RECSYS_TIMEOUT_MS": "fast", "RECSYS_DIALECT": "theirs", "SECRET_KEY": "short"}
        )

    assert set(refusal.value.fields) == {"QA_MODE", "RECSYS_TIMEOUT_MS", "RECSYS_DIALECT", "SECRET_KEY"}


def test_a_missing_secret_is_refused() -> None:
    with pytest.raises(InvalidInput, match="SECRET_KEY: is required"):
        load_settings({})


@pytest.mark.ticket("RS-070")
def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")

    assert load_settings({"SECRET_KEY_FILE": str(tmp_path / "secret")}).secret_key == SECRET


def test_the_secret_is_not_in_the_settings_text() -> None:
    assert SECRET not in repr(load_settings({"SECRET_KEY": SECRET}))


def test_the_example_file_documents_every_setting() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text()

    assert example == example_env()
    for name in Settings.__dataclass_fields__:
        assert f"\n{name.upper()}=" in example
