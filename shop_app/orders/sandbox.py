"""A payment provider for trying everything out: it moves no money, and what it does follows from the method chosen."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from shop_app.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from shop_app.core.ids import new_token
from shop_app.core.money import Money
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, insert_into, rows_changed
from shop_app.orders.models import SandboxPayment
from shop_app.orders.payment import PaymentNews, PaymentRequest, PaymentResult, PaymentState, PaymentTimeout

METHODS = {
    "card_ok": "Test card that pays",
    "card_declined": "Test card without money",
    "card_challenge": "Test card that asks for a second step",
    "card_slow": "Test card whose bank answers late, and pays",
    "card_slow_declined": "Test card whose bank answers late, and refuses",
}
"""What a shopper may choose, and what it says on the form."""
ANSWERS_AFTER = timedelta(seconds=3)
"""How long the late banks take before `status` knows."""
_FIRST_STATE = {
    "card_ok": PaymentState.AUTHORISED,
    "card_declined": PaymentState.DECLINED,
    "card_challenge": PaymentState.ACTION_REQUIRED,
    "card_slow": PaymentState.AUTHORISED,
    "card_slow_declined": PaymentState.DECLINED,
}
_DECLINED = "The bank said no. Nothing was charged; please try another card."


@dataclass(frozen=True, slots=True)
class SandboxProvider:
    """Keeps its payments in a table of its own, in transactions of its own."""

    secret: str
    name: str = "sandbox"

    def authorise(self, request: PaymentRequest, now: datetime) -> PaymentResult:
        if request.method not in METHODS:
            raise InvalidInput({"method": ["Choose one of the cards."]})
        is_slow = request.method.startswith("card_slow")
        row = {
            "key": request.key,
            "ref": f"sbx_{new_token()}",
            "amount_minor": request.amount.minor,
            "currency": request.amount.currency,
            "method": request.method,
            "state": _FIRST_STATE[request.method].value,
            "return_url": request.return_url,
            "answers_at": now + ANSWERS_AFTER if is_slow else now,
            "created_at": now,
        }
        with unit_of_work(db.session):
            db.session.execute(insert_into(SandboxPayment).on_conflict_do_nothing(), row)
            result = _result(_payment(SandboxPayment.key == request.key), now)
        if result.state is PaymentState.PENDING:
            raise PaymentTimeout("the bank did not answer in time")
        return result

    def status(self, key: str, now: datetime) -> PaymentResult:
        try:
            return _result(_payment(SandboxPayment.key == key), now)
        except NotFound:
            return PaymentResult(PaymentState.DECLINED, message="The bank never heard of this payment.")
        finally:
            db.session.rollback()

    def capture(self, ref: str) -> None:
        self._move(ref, {"authorised", "captured"}, "captured")

    def void(self, ref: str) -> None:
        self._move(ref, {"authorised", "action_required", "declined", "voided"}, "voided")

    def refund(self, ref: str, amount: Money) -> None:
        del amount  # the sandbox keeps no ledger of parts
        self._move(ref, {"captured", "refunded"}, "refunded")

    def answer_challenge(self, ref: str, *, approved: bool) -> str:
        """The shopper took the second step, or refused it. Returns where to send them."""
        state = PaymentState.AUTHORISED if approved else PaymentState.DECLINED
        with unit_of_work(db.session):
            asked = SandboxPayment.state == PaymentState.ACTION_REQUIRED
            db.session.execute(update(SandboxPayment).where(SandboxPayment.ref == ref, asked).values(state=state.value))
            return _payment(SandboxPayment.ref == ref).return_url

    def webhook(self, key: str, now: datetime) -> tuple[bytes, str]:
        """The notice about the payment under `key`, and its signature: what a real provider would POST."""
        result = self.status(key, max(now, now + ANSWERS_AFTER))
        content = {
            "notice_id": f"{result.ref}:{result.state.value}",
            "key": key,
            "ref": result.ref,
            "state": result.state.value,
            "message": result.message,
        }
        body = json.dumps(content, sort_keys=True).encode()
        return body, self._signature(body)

    def read_webhook(self, body: bytes, signature: str) -> PaymentNews:
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode()):
            raise Forbidden("The signature does not fit.")
        try:
            return _news(json.loads(body))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput({"body": ["is not a payment notice"]}) from error

    def _signature(self, body: bytes) -> str:
        key = hashlib.sha256(f"sandbox-webhook:{self.secret}".encode()).digest()
        return hmac.new(key, body, hashlib.sha256).hexdigest()

    def _move(self, ref: str, allowed: set[str], state: str) -> None:
        with unit_of_work(db.session):
            moving = update(SandboxPayment).where(SandboxPayment.ref == ref, SandboxPayment.state.in_(allowed))
            if rows_changed(moving.values(state=state)) == 0:
                raise Conflict(f"The payment {ref} cannot be {state}.")


def _payment(condition: Any) -> SandboxPayment:
    found = db.session.scalars(select(SandboxPayment).where(condition)).one_or_none()
    if found is None:
        raise NotFound("no such payment")
    return found


def _result(payment: SandboxPayment, now: datetime) -> PaymentResult:
    if now < payment.answers_at:
        return PaymentResult(PaymentState.PENDING, payment.ref)
    state = payment.state if payment.state in set(PaymentState) else PaymentState.AUTHORISED
    return PaymentResult(
        PaymentState(state),
        payment.ref,
        action_url=f"/payments/sandbox/{payment.ref}" if state == PaymentState.ACTION_REQUIRED else "",
        message=_DECLINED if state == PaymentState.DECLINED else "",
    )


def _news(content: Any) -> PaymentNews:
    result = PaymentResult(PaymentState(content["state"]), str(content["ref"]), message=str(content.get("message", "")))
    return PaymentNews(str(content["notice_id"]), str(content["key"]), result)
