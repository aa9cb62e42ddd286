"""Money as integer minor units and an ISO 4217 currency. It is formatted in templates only."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from shop_app.core.errors import InvalidInput

MINOR_DIGITS = {"JPY": 0, "KRW": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3}
"""Currencies whose minor unit is not a hundredth (ISO 4217)."""
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency. `minor` counts the smallest coin: pence, cents, yen."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __mul__(self, quantity: int) -> "Money":
        return Money(self.minor * quantity, self.currency)

    @property
    def digits(self) -> int:
        """Digits behind the decimal point in this currency."""
        return MINOR_DIGITS.get(self.currency, 2)

    def decimal(self) -> Decimal:
        """The amount in major units, exact."""
        return Decimal(self.minor).scaleb(-self.digits)

    def text(self) -> str:
        """For people: `£1,234.50`, `12.00 CHF`."""
        amount = f"{abs(self.decimal()):,.{self.digits}f}"
        sign = "−" if self.minor < 0 else ""
        symbol = SYMBOLS.get(self.currency)
        return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount} {self.currency}"

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")


def parse_money(text: str, currency: str) -> Money:
    """Read a major-unit amount such as `12.5`; halves of a minor unit round away from zero.

    Raises:
        InvalidInput: `text` is not a finite decimal number.

    """
    digits = MINOR_DIGITS.get(currency, 2)
    try:
        minor = Decimal(text.strip()).scaleb(digits).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    except InvalidOperation as error:  # no number, or more digits than an amount ever has
        raise InvalidInput({"price": [f"{text!r} is not an amount"]}) from error
    if not minor.is_finite():
        raise InvalidInput({"price": [f"{text!r} is not an amount"]})
    return Money(int(minor), currency)
