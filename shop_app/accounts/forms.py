"""What the forms of accounts may send. Each parser reads the fields it names and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shop_app.accounts.passwords import MAX_CHARS
from shop_app.accounts.services import normal_email
from shop_app.core.errors import InvalidInput

COUNTRIES = (
    ("GB", "United Kingdom"),
    ("IE", "Ireland"),
    ("BE", "Belgium"),
    ("DE", "Germany"),
    ("DK", "Denmark"),
    ("ES", "Spain"),
    ("FR", "France"),
    ("IT", "Italy"),
    ("NL", "Netherlands"),
    ("PT", "Portugal"),
    ("SE", "Sweden"),
    ("US", "United States"),
)
"""Where the shop sends things: ISO 3166 code and name."""
MAX_CATEGORIES = 5
_EMAIL = re.compile(r"[^@\s,;:<>()\[\]\\\"]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_ADDRESS_FIELDS = {
    "full_name": ("Enter the name on the parcel.", 120),
    "line1": ("Enter the street and number.", 200),
    "line2": ("", 200),
    "city": ("Enter the town or city.", 120),
    "postcode": ("Enter the postcode.", 20),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An e-mail address and a password, as typed."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """A new member."""

    email: str
    password: str
    name: str
    newsletter: bool


@dataclass(frozen=True, slots=True)
class ProfileForm:
    """What a member may change about themselves."""

    name: str
    country: str
    newsletter: bool
    preferred_categories: list[str]


def parse_credentials(form: Mapping[str, str]) -> Credentials:
    """Read `email` and `password`; what is wrong with them is nobody's business before sign-in."""
    return Credentials(normal_email(form.get("email", ""))[:254], form.get("password", "")[: MAX_CHARS + 1])


def parse_sign_up(form: Mapping[str, str]) -> SignUpForm:
    """Read a sign-up; the password's strength is the service's to judge.

    Raises:
        InvalidInput: the address or the name cannot be right.

    """
    errors: dict[str, list[str]] = {}
    email = read_email(form, errors)
    name = _text(form, "name", "Enter your name.", 120, errors)
    if errors:
        raise InvalidInput(errors)
    return SignUpForm(email, form.get("password", ""), name, form.get("newsletter") == "on")


def parse_profile(form: Mapping[str, str], categories: list[str], known: Mapping[str, str]) -> ProfileForm:
    """Read a profile; `known` maps the paths of departments that exist to their names.

    Raises:
        InvalidInput: no name, or a country we don't send to.

    """
    errors: dict[str, list[str]] = {}
    name = _text(form, "name", "Enter your name.", 120, errors)
    country = _country(form, errors)
    if errors:
        raise InvalidInput(errors)
    chosen = sorted({path for path in categories if path in known})[:MAX_CATEGORIES]
    return ProfileForm(name, country, form.get("newsletter") == "on", chosen)


def parse_address(form: Mapping[str, str]) -> dict[str, str]:
    """Read a postal address: full_name, line1, line2, city, postcode, country.

    Raises:
        InvalidInput: names every field that is missing or too long.

    """
    errors: dict[str, list[str]] = {}
    address = {
        name: _text(form, name, missing, longest, errors) for name, (missing, longest) in _ADDRESS_FIELDS.items()
    }
    address["country"] = _country(form, errors)
    if errors:
        raise InvalidInput(errors)
    return address


def read_email(form: Mapping[str, str], errors: dict[str, list[str]]) -> str:
    """The `email` field in its one spelling; a problem goes into `errors`."""
    email = normal_email(form.get("email", ""))
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        errors["email"] = ["Enter an e-mail address such as name@example.org."]
    return email


def _text(form: Mapping[str, str], name: str, missing: str, longest: int, errors: dict[str, list[str]]) -> str:
    """One line of text; `missing` is the message when it must not be empty."""
    value = " ".join("".join(c for c in form.get(name, "") if c.isprintable() or c.isspace()).split())
    if missing and not value:
        errors[name] = [missing]
    elif len(value) > longest:
        errors[name] = [f"Use {longest} characters or fewer."]
    return value


def _country(form: Mapping[str, str], errors: dict[str, list[str]]) -> str:
    code = form.get("country", "")
    if code not in dict(COUNTRIES):
        errors["country"] = ["Choose a country we send to."]
    return code
