"""The port to whoever moves the money. No call of it may happen inside a database transaction."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shop_app.core.errors import ShopError
from shop_app.core.money import Money


class PaymentState(StrEnum):
    """Where a payment stands at the provider."""

    AUTHORISED = "authorised"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PENDING = "pending"
    VOIDED = "voided"


class PaymentTimeout(ShopError):
    """The provider did not answer in time: the money may or may not be reserved."""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Reserve `amount` under `key`. The same key asked again is the same payment, never a second one."""

    key: str
    amount: Money
    method: str
    return_url: str


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """What the provider says. `ref` is its name for the payment, `action_url` where the shopper takes a second step."""

    state: PaymentState
    ref: str = ""
    action_url: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PaymentNews:
    """A webhook whose signature was right. `notice_id` is the same in every copy of it."""

    notice_id: str
    key: str
    result: PaymentResult


class PaymentProvider(Protocol):
    """One payment company. Every verb may be repeated without doing its work twice."""

    name: str

    def authorise(self, request: PaymentRequest, now: datetime) -> PaymentResult:
        """Reserve the money.

        Raises:
            PaymentTimeout: nobody knows yet; ask `status` later or wait for a webhook.

        """

    def status(self, key: str, now: datetime) -> PaymentResult:
        """What became of the payment under `key`; declined when the provider never heard of it."""

    def capture(self, ref: str) -> None:
        """Take the reserved money."""

    def void(self, ref: str) -> None:
        """Let the reserved money go."""

    def refund(self, ref: str, amount: Money) -> None:
        """Give captured money back."""

    def read_webhook(self, body: bytes, signature: str) -> PaymentNews:
        """Understand a webhook.

        Raises:
            Forbidden: the signature does not fit.
            InvalidInput: the body is not a notice.

        """
