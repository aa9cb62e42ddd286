"""Passwords: how they are kept, and which are too easy to guess."""

import re
from functools import cache
from importlib.resources import files
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from shop_app.core.errors import InvalidInput

MIN_CHARS = 10
MAX_CHARS = 200
"""Longer ones only cost time to hash."""
UNUSABLE = "!"
"""Stored for people who cannot sign in, such as those of an imported history. No password verifies against it."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with the parameters of the OWASP password storage cheat sheet: 19 MiB, two passes, one lane."""
_LEET = str.maketrans("@4301$5!7", "aaeoissit")
_PADDING = re.compile(r"^[\d\W_]+|[\d\W_]+$")


def hash_password(password: str | None) -> str:
    """The hash to store; `None` makes an account that nobody can sign in to."""
    return UNUSABLE if password is None else _hasher.hash(password)


def is_correct(stored: str | None, password: str) -> bool:
    """Whether `password` fits. With nothing stored the same work is done, so that time does not tell who exists."""
    try:
        fits = _hasher.verify(stored if stored and stored != UNUSABLE else _nobodys_hash(), password[:MAX_CHARS])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return fits and stored is not None and stored != UNUSABLE


def needs_rehash(stored: str) -> bool:
    """Whether `stored` was made with older parameters."""
    return _hasher.check_needs_rehash(stored)


def check_new_password(password: str, *, personal: tuple[str, ...] = ()) -> None:
    """Refuse what a guesser tries first; `personal` holds the person's own name and e-mail.

    Raises:
        InvalidInput: too short, too long, common, repetitive, or made of personal words. Field `password`.

    """
    problem = _problem(password, personal)
    if problem:
        raise InvalidInput({"password": [problem]})


def _problem(password: str, personal: tuple[str, ...]) -> str:
    if len(password) < MIN_CHARS:
        return f"Use {MIN_CHARS} characters or more."
    if len(password) > MAX_CHARS:
        return f"Use {MAX_CHARS} characters or fewer."
    lowered = password.lower()
    if len(set(lowered)) <= 3 or _is_run(lowered):
        return "That repeats itself or counts up. Use a few unrelated words."
    if lowered in common_passwords() or _core(lowered) in common_passwords():
        return "That is one of the passwords people try first. Use a few unrelated words."
    if any(word in lowered for text in personal for word in re.split(r"\W+", text.lower()) if len(word) >= 4):
        return "That contains your name or e-mail address. Use a few unrelated words."
    return ""


def _core(lowered: str) -> str:
    """What is left without digits and signs at the ends, with look-alikes read as letters: `P@ssw0rd1!` → password."""
    return _PADDING.sub("", _PADDING.sub("", lowered).translate(_LEET))


def _is_run(text: str) -> bool:
    """`abcdefghij`, `9876543210`, `abcabcabcabc`."""
    steps = {ord(b) - ord(a) for a, b in pairwise(text)}
    return steps in ({1}, {-1}) or text in (text + text)[1:-1]


@cache
def common_passwords() -> frozenset[str]:
    """The list in `common_passwords.txt`, lower case."""
    text = (files("shop_app.accounts") / "common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")
