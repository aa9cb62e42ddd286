"""What only a checkout can run into."""

from shop_app.core.errors import Conflict


class BasketChanged(Conflict):
    """What would be paid is not what the shopper saw: a price, a quantity or a line differs."""


class BasketClosed(Conflict):
    """This basket was checked out already, or merged into another."""
