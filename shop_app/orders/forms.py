"""What the checkout form may send."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shop_app.accounts.forms import parse_address, read_email
from shop_app.core.errors import InvalidInput
from shop_app.orders.delivery import delivery_method
from shop_app.orders.sandbox import METHODS

NEW_ADDRESS = "new"
_KEY = re.compile(r"[a-z0-9]{20,40}")
_ADDRESS = ("full_name", "line1", "line2", "city", "postcode", "country")


@dataclass(frozen=True, slots=True)
class CheckoutForm:
    """A filled-in checkout. `wants_saved` asks for the typed address to be kept."""

    key: str
    fingerprint: str
    email: str
    address: dict[str, str]
    delivery: str
    method: str
    wants_saved: bool


def parse_checkout(form: Mapping[str, str], saved: Sequence[object], member_email: str) -> CheckoutForm:
    """Read the form; `saved` are the member's own addresses, `member_email` theirs when signed in.

    Raises:
        InvalidInput: names every field that is wrong.

    """
    errors: dict[str, list[str]] = {}
    email = member_email or read_email(form, errors)
    chosen = form.get("address", NEW_ADDRESS)
    address = _saved_address(chosen, saved) or _typed_address(form, errors)
    delivery = form.get("delivery", "")
    method = form.get("method", "")
    try:
        delivery_method(delivery)
    except InvalidInput as error:
        errors |= error.fields
    if method not in METHODS:
        errors["method"] = ["Choose how to pay."]
    if errors:
        raise InvalidInput(errors)
    return CheckoutForm(
        key=parse_key(form.get("key", "")),
        fingerprint=form.get("fingerprint", "")[:64],
        email=email,
        address=address,
        delivery=delivery,
        method=method,
        wants_saved=chosen == NEW_ADDRESS and form.get("save_address") == "on",
    )


def parse_key(text: str) -> str:
    """The idempotency key that was printed into the form.

    Raises:
        InvalidInput: it is not one of ours.

    """
    if not _KEY.fullmatch(text):
        raise InvalidInput({"key": ["This form is damaged. Please start again from your basket."]})
    return text


def _saved_address(chosen: str, saved: Sequence[object]) -> dict[str, str]:
    found = next((address for address in saved if str(getattr(address, "id", "")) == chosen), None)
    return {name: str(getattr(found, name)) for name in _ADDRESS} if found else {}


def _typed_address(form: Mapping[str, str], errors: dict[str, list[str]]) -> dict[str, str]:
    try:
        return parse_address(form)
    except InvalidInput as error:
        errors |= error.fields
        return {}
