"""From a filled-in form to a paid order, around a provider that may be slow, silent or late.

Opens its units of work itself, unlike the services: a provider is never called while a transaction is open, so a
checkout is several short transactions with calls between them. Each step may be repeated, by another request, by a
webhook or by the job that looks after forgotten attempts: the attempt's row says how far it got, and the idempotency
key is the same at the provider.
"""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from shop_app.core.errors import InvalidInput, OutOfStock, ShopError
from shop_app.core.money import Money
from shop_app.core.shopper import Consent, Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, insert_into, rows_changed
from shop_app.orders.errors import BasketChanged, BasketClosed
from shop_app.orders.models import Order, PaymentAttempt, PaymentNotice
from shop_app.orders.payment import (
    PaymentNews,
    PaymentProvider,
    PaymentRequest,
    PaymentResult,
    PaymentState,
    PaymentTimeout,
)
from shop_app.orders.services import OrderRequest, cancel_order, order_by_key, place_order, refund_order

log = logging.getLogger(__name__)

FORGOTTEN_AFTER = timedelta(minutes=2)
"""An attempt that has not moved for so long lost its request: the job takes over."""
GIVEN_UP_AFTER = timedelta(minutes=30)
"""So long may a second step or a silent bank take."""
OPEN_STATES = ("started", "action_required", "unknown")
"""States from which an order may still come."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a checkout stands: `status` is placed, declined, action_required, pending or refused.

    `number` is the order's when placed; `action_url` where the second step is; `problem` why it was refused.
    """

    status: str
    number: str = ""
    action_url: str = ""
    message: str = ""
    problem: ShopError | None = None


def pay(request: OrderRequest, method: str, return_url: str, provider: PaymentProvider, now: datetime) -> Outcome:
    """Reserve the money and, once it is reserved, place the order. The same key twice is the same order.

    Raises:
        InvalidInput: the key belongs to another basket, or the provider does not know the method.

    """
    _start(request, provider.name, now)
    try:
        result = provider.authorise(PaymentRequest(request.key, request.amount, method, return_url), now)
    except PaymentTimeout:
        result = PaymentResult(PaymentState.PENDING)
    return _settle(request.key, result, provider, now)


def resume(key: str, provider: PaymentProvider, now: datetime) -> Outcome:
    """Ask the provider again what became of the payment, and act on the answer."""
    attempt = _attempt(key)
    if attempt.status not in OPEN_STATES:
        return _finished(attempt)
    return _settle(key, provider.status(key, now), provider, now)


def receive(news: PaymentNews, provider: PaymentProvider, now: datetime) -> bool:
    """Act on a webhook: late, early or repeated, the result is the same. `False` when it was seen before.

    The notice is put down last: if we die before, the provider's next try finds the work still to do.
    """
    with unit_of_work(db.session):
        seen = select(PaymentNotice.id).where(PaymentNotice.notice_id == news.notice_id)
        if db.session.scalars(seen).first() is not None:
            return False
        known = db.session.scalars(select(PaymentAttempt.id).where(PaymentAttempt.key == news.key)).first()
    if known is not None:
        _settle(news.key, news.result, provider, now)
    with unit_of_work(db.session):
        row = {
            "notice_id": news.notice_id,
            "provider_ref": news.result.ref,
            "kind": news.result.state.value,
            "received_at": now,
        }
        db.session.execute(insert_into(PaymentNotice).on_conflict_do_nothing(), row)
    return True


def settle_forgotten(provider: PaymentProvider, now: datetime, *, limit: int = 100) -> int:
    """Finish attempts whose request died half-way, oldest first. Returns how many were looked at."""
    stuck = (
        select(PaymentAttempt.key)
        .where(
            PaymentAttempt.status.in_((*OPEN_STATES, "placed", "voiding")),
            PaymentAttempt.updated_at <= now - FORGOTTEN_AFTER,
        )
        .order_by(PaymentAttempt.updated_at, PaymentAttempt.id)
        .limit(limit)
    )
    keys = list(db.session.scalars(stuck))
    for key in keys:
        _finish_forgotten(key, provider, now)
    return len(keys)


def cancel(number: str, provider: PaymentProvider, now: datetime) -> Order:
    """Cancel a placed order and give the money back.

    Raises:
        Conflict: it is too late for that.

    """
    with unit_of_work(db.session):
        order = cancel_order(number, now)
    return _give_back(order, provider)


def refund(number: str, provider: PaymentProvider, now: datetime) -> Order:
    """Take a sent order back and give the money back.

    Raises:
        Conflict: it was not sent, or was refunded already.

    """
    with unit_of_work(db.session):
        order = refund_order(number, now)
    return _give_back(order, provider)


def _start(request: OrderRequest, provider_name: str, now: datetime) -> None:
    """Put the attempt down before any money moves; the key's first attempt stands."""
    row = {
        "key": request.key,
        "cart_id": request.cart_id,
        "shopper_key": request.shopper.key,
        "amount_minor": request.amount.minor,
        "currency": request.amount.currency,
        "provider": provider_name,
        "status": "started",
        "checkout": _as_json(request),
        "created_at": now,
        "updated_at": now,
    }
    with unit_of_work(db.session):
        db.session.execute(insert_into(PaymentAttempt).on_conflict_do_nothing(), row)
        attempt = _attempt(request.key)
        if (attempt.cart_id, attempt.shopper_key) != (request.cart_id, request.shopper.key):
            raise InvalidInput({"key": ["This form has been used already. Please start again from your basket."]})


def _settle(key: str, result: PaymentResult, provider: PaymentProvider, now: datetime) -> Outcome:
    match result.state:
        case PaymentState.AUTHORISED:
            return _place(key, result, provider, now)
        case PaymentState.DECLINED:
            return _close(key, "declined", result, now)
        case PaymentState.VOIDED:
            return _close(key, "voided", result, now)
        case PaymentState.ACTION_REQUIRED:
            return _wait(key, "action_required", result, now)
        case PaymentState.PENDING:
            return _wait(key, "unknown", result, now)


def _place(key: str, result: PaymentResult, provider: PaymentProvider, now: datetime) -> Outcome:
    """The money is reserved: place the order, or let the money go."""
    try:
        with unit_of_work(db.session):
            attempt = _lock_attempt(key)
            if attempt.status not in OPEN_STATES:
                return _finished(attempt)
            attempt.provider_ref = result.ref
            order = place_order(_from_json(attempt), now)
            attempt.status, attempt.updated_at = "placed", now
            outcome = Outcome("placed", order.number)
    except (OutOfStock, BasketChanged, BasketClosed) as problem:
        return _let_go(key, result, problem, provider, now)
    _capture(key, result.ref, provider, now)
    return outcome


def _capture(key: str, ref: str, provider: PaymentProvider, now: datetime) -> None:
    try:
        provider.capture(ref)
    except PaymentTimeout:
        log.warning("payment_capture_postponed", extra={"provider_ref": ref})
        return
    _move(key, ("placed",), "captured", now)


def _void(key: str, ref: str, provider: PaymentProvider, now: datetime) -> None:
    try:
        provider.void(ref)
    except PaymentTimeout:
        log.warning("payment_void_postponed", extra={"provider_ref": ref})
        return
    _move(key, ("voiding",), "voided", now)


def _let_go(key: str, result: PaymentResult, problem: ShopError, provider: PaymentProvider, now: datetime) -> Outcome:
    """The order cannot be: note it, then void. The job voids when this dies in between."""
    with unit_of_work(db.session):
        attempt = _lock_attempt(key)
        if attempt.status not in OPEN_STATES:
            return _finished(attempt)
        attempt.status, attempt.provider_ref, attempt.updated_at = "voiding", result.ref, now
        attempt.error = str(problem)[:200]
    _void(key, result.ref, provider, now)
    return Outcome("refused", message=str(problem), problem=problem)


def _close(key: str, status: str, result: PaymentResult, now: datetime) -> Outcome:
    with unit_of_work(db.session):
        attempt = _lock_attempt(key)
        if attempt.status not in OPEN_STATES:
            return _finished(attempt)
        attempt.status, attempt.error, attempt.updated_at = status, result.message[:200], now
        attempt.provider_ref = result.ref or None
        return _finished(attempt)


def _wait(key: str, status: str, result: PaymentResult, now: datetime) -> Outcome:
    with unit_of_work(db.session):
        attempt = _lock_attempt(key)
        if attempt.status not in OPEN_STATES:
            return _finished(attempt)
        if attempt.status != status:
            attempt.status, attempt.updated_at = status, now
        attempt.provider_ref = result.ref or attempt.provider_ref
    is_second_step = status == "action_required"
    return Outcome("action_required" if is_second_step else "pending", action_url=result.action_url)


def _finished(attempt: PaymentAttempt) -> Outcome:
    """The outcome of an attempt that cannot move any more."""
    order = order_by_key(attempt.key)
    if order is not None:
        return Outcome("placed", order.number)
    if attempt.status == "declined":
        return Outcome("declined", message=attempt.error or "")
    return Outcome("refused", message=attempt.error or "The payment was given up. Nothing was charged.")


def _finish_forgotten(key: str, provider: PaymentProvider, now: datetime) -> None:
    attempt = _attempt(key)
    status, ref, created_at = attempt.status, attempt.provider_ref or "", attempt.created_at
    db.session.rollback()
    if status == "placed":
        _capture(key, ref, provider, now)
    elif status == "voiding":
        _void(key, ref, provider, now)
    else:
        outcome = resume(key, provider, now)
        if outcome.status in {"action_required", "pending"} and created_at <= now - GIVEN_UP_AFTER:
            _let_go(key, provider.status(key, now), BasketClosed("Nobody finished this payment."), provider, now)


def _give_back(order: Order, provider: PaymentProvider) -> Order:
    """After the commit; repeating it is harmless, the provider knows what it has given back."""
    of_order = select(PaymentAttempt.provider_ref).where(PaymentAttempt.key == order.idempotency_key)
    ref, amount = db.session.scalars(of_order).first(), Money(order.total_minor, order.currency)
    db.session.rollback()
    if ref is not None:
        provider.refund(ref, amount)
    return order


def _attempt(key: str) -> PaymentAttempt:
    return db.session.scalars(select(PaymentAttempt).where(PaymentAttempt.key == key)).one()


def _lock_attempt(key: str) -> PaymentAttempt:
    locked = select(PaymentAttempt).where(PaymentAttempt.key == key).with_for_update()
    return db.session.scalars(locked.execution_options(populate_existing=True)).one()


def _move(key: str, allowed: tuple[str, ...], status: str, now: datetime) -> None:
    with unit_of_work(db.session):
        moving = update(PaymentAttempt).where(PaymentAttempt.key == key, PaymentAttempt.status.in_(allowed))
        rows_changed(moving.values(status=status, updated_at=now))


def _as_json(request: OrderRequest) -> dict[str, object]:
    """What a webhook needs to place the order when the request is gone; never a card."""
    return {
        "email": request.email,
        "address": request.address,
        "delivery": request.delivery,
        "fingerprint": request.fingerprint,
        "shopper": asdict(request.shopper),
    }


def _from_json(attempt: PaymentAttempt) -> OrderRequest:
    saved, who = attempt.checkout, attempt.checkout["shopper"]
    return OrderRequest(
        key=attempt.key,
        cart_id=attempt.cart_id,
        shopper=Shopper(**{**who, "consent": Consent(**who["consent"])}),
        email=saved["email"],
        address=saved["address"],
        delivery=saved["delivery"],
        fingerprint=saved["fingerprint"],
        amount=Money(attempt.amount_minor, attempt.currency),
    )
