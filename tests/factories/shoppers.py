"""People and what they ask for at the checkout."""

from typing import Any

from shop_app.cart.queries import cart_view
from shop_app.core.ids import new_anonymous_key, new_token
from shop_app.core.money import Money
from shop_app.core.shopper import Consent, Shopper
from shop_app.orders.delivery import delivery_method
from shop_app.orders.services import OrderRequest

ADDRESS = {
    "full_name": "Ada Byron",
    "line1": "12 St James's Square",
    "line2": "",
    "city": "London",
    "postcode": "SW1Y 4JH",
    "country": "GB",
}


def a_shopper(**overrides: Any) -> Shopper:
    """Somebody anonymous who agreed to everything."""
    values = {"key": new_anonymous_key(), "session_id": "s_1", "consent": Consent(True, True, True)}
    return Shopper(**{**values, **overrides})


def an_order_request(shopper: Shopper, **overrides: Any) -> OrderRequest:
    """The request that pays for exactly what is in the shopper's basket now."""
    cart = cart_view(shopper.key, "GBP")
    assert cart.cart_id is not None
    values: dict[str, Any] = {
        "key": f"key-{new_token()}",
        "cart_id": cart.cart_id,
        "shopper": shopper,
        "email": "ada@example.org",
        "address": ADDRESS,
        "delivery": "collect",
        "fingerprint": cart.fingerprint,
    }
    values |= overrides
    delivery = delivery_method(values["delivery"]).price(cart.subtotal)
    values.setdefault("amount", Money(cart.subtotal.minor, "GBP") + delivery)
    return OrderRequest(**values)
