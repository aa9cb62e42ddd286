"""Pages of accounts."""

from shop_app.accounts.views import entry, member, wishlist
from shop_app.accounts.views.base import bp

__all__ = ["bp", "entry", "member", "wishlist"]
