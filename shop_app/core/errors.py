"""What can go wrong in the shop. Services raise these; only `app.py` turns them into a status and a page."""

from collections.abc import Mapping, Sequence


class ShopError(Exception):
    """Anything the shop refuses on purpose."""


class InvalidInput(ShopError):
    """The input breaks a rule. `fields` maps a field name to its messages."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self.fields = {name: list(messages) for name, messages in fields.items()}
        super().__init__("; ".join(f"{name}: {', '.join(messages)}" for name, messages in self.fields.items()))


class NotFound(ShopError):
    """There is no such thing, or not for this person."""


class Gone(ShopError):
    """It was here and is not sold any more."""


class Conflict(ShopError):
    """Somebody else changed it first, or the state does not allow it."""


class Forbidden(ShopError):
    """This person may not do that."""


class OutOfStock(ShopError):
    """A line asks for more than there is. `sku` names the variant, `available` what is left."""

    def __init__(self, sku: str, title: str, available: int) -> None:
        self.sku, self.title, self.available = sku, title, available
        super().__init__(f"{title}: {available} left")
