"""Which passwords pass."""

from statistics import median
from time import process_time

import pytest

from shop_app.accounts.passwords import check_new_password, common_passwords, hash_password, is_correct
from shop_app.core.errors import InvalidInput


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "ninechars",
        "password123",
        "P@ssw0rd123!",
        "Welcome2026!",
        "qwertyuiop",
        "aaaaaaaaaaaa",
        "ababababab",
        "abcdefghijkl",
        "9876543210",
        "xyzxyzxyzxyz",
        "iloveyou!!!!",
        "123liverpool456",
        "ada.lovelace-1815",
        "x" * 201,
    ],
)
def test_easy_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_new_password(password, personal=("ada", "Ada Lovelace"))

    assert list(refused.value.fields) == ["password"]


@pytest.mark.parametrize(
    "password", ["maple-kettle-otter", "Zt9!kqpw2#Lm", "drei graue kiesel", "パスワードは秘密です十"]
)
def test_unrelated_words_pass(password: str) -> None:
    check_new_password(password, personal=("ada", "Ada Lovelace"))


def test_the_list_is_lower_case_and_worth_having() -> None:
    common = common_passwords()

    assert len(common) > 1500
    assert all(word == word.lower() for word in common)


def test_only_the_password_itself_verifies() -> None:
    stored = hash_password("maple-kettle-otter")

    assert is_correct(stored, "maple-kettle-otter")
    assert not is_correct(stored, "maple-kettle-otters")
    assert "maple" not in stored


def test_nobody_signs_in_without_a_stored_password() -> None:
    assert not is_correct(None, "nobody has this password")
    assert not is_correct(hash_password(None), "!")
    assert not is_correct(hash_password(None), "nobody has this password")


def test_an_unknown_address_costs_the_time_of_a_wrong_password() -> None:
    stored = hash_password("maple-kettle-otter")
    is_correct(None, "warm up")

    def cost(kept: str | None) -> float:
        start = process_time()
        is_correct(kept, "a wrong guess")
        return process_time() - start

    known, unknown = median(cost(stored) for _ in range(5)), median(cost(None) for _ in range(5))

    assert 0.5 < unknown / known < 2  # without the work for nobody it would be about a thousandth
