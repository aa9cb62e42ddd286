"""Pages of accounts."""

from shop_app.accounts.views import entry, member, reset, wishlist
from shop_app.accounts.views.base import bp

__all__ = ["bp", "entry", "member", "reset", "wishlist"]
