"""How an order may travel, and what that costs."""

from dataclasses import dataclass

from shop_app.cart.queries import FREE_DELIVERY_FROM_MINOR
from shop_app.core.errors import InvalidInput
from shop_app.core.money import Money


@dataclass(frozen=True, slots=True)
class DeliveryMethod:
    """`price_minor` is in the order's currency; `is_free_above` means nothing is charged from the free limit on."""

    code: str
    title: str
    note: str
    price_minor: int
    is_free_above: bool = False

    def price(self, subtotal: Money) -> Money:
        """What this costs for an order of `subtotal`."""
        is_free = self.is_free_above and subtotal.minor >= FREE_DELIVERY_FROM_MINOR
        return Money(0 if is_free else self.price_minor, subtotal.currency)


METHODS = (
    DeliveryMethod("standard", "Standard delivery", "Two to three working days", 3_95, is_free_above=True),
    DeliveryMethod("express", "Express delivery", "The next working day", 7_95),
    DeliveryMethod("collect", "Collect in store", "Ready tomorrow at noon", 0),
)


def delivery_method(code: str) -> DeliveryMethod:
    """The method of this code.

    Raises:
        InvalidInput: there is none. Field `delivery`.

    """
    for method in METHODS:
        if method.code == code:
            return method
    raise InvalidInput({"delivery": ["Choose how it should reach you."]})
