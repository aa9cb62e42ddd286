"""Pages of orders and their payment."""

from shop_app.orders.views import checkout, payments, shown
from shop_app.orders.views.base import bp

__all__ = ["bp", "checkout", "payments", "shown"]
