"""Around the payment: waiting for it, the sandbox's own bank page, and what the provider tells us by itself."""

from flask import Response as FlaskResponse
from flask import flash, jsonify, redirect, render_template, url_for
from htmx_flask import request
from werkzeug.wrappers import Response

from shop_app.core.errors import NotFound
from shop_app.core.money import Money
from shop_app.extensions import csrf, limiter
from shop_app.orders.checkout import OPEN_STATES, Outcome, receive, resume
from shop_app.orders.queries import attempt_of, sandbox_payment
from shop_app.orders.sandbox import SandboxProvider
from shop_app.orders.services import order_by_key
from shop_app.orders.views.base import bp, now, provider, show_placed
from shop_app.tracking.identity import current_shopper

CHECKS = "120 per minute"
"""A waiting page asks every two seconds."""
MAX_WEBHOOK_BYTES = 10_000


@bp.get("/checkout/payments/<key>")
def payment(key: str) -> str | Response:
    """Where the shopper waits, and comes back to from their bank. The page asks on by itself, or at a press."""
    attempt = attempt_of(key, current_shopper().key)
    if attempt is None:
        raise NotFound("We can’t find that payment.")
    order = order_by_key(key)
    if order is not None:
        return show_placed(order)
    return render_template("orders/payment.html", key=key, is_open=attempt.status in OPEN_STATES, message=attempt.error)


@bp.post("/checkout/payments/<key>")
@limiter.limit(CHECKS)
def check_payment(key: str) -> Response | str:
    """Ask the provider what became of it, and go where that leads."""
    if attempt_of(key, current_shopper().key) is None:
        raise NotFound("We can’t find that payment.")
    outcome = resume(key, provider(), now())
    if outcome.status == "pending" and request.htmx:
        return render_template("orders/_waiting.html", key=key)
    return _go(_next_stop(key, outcome))


@bp.get("/payments/sandbox/<ref>")
def sandbox_challenge(ref: str) -> str:
    """What would be the bank's page: approve or refuse."""
    asked = sandbox_payment(ref)
    return render_template("orders/sandbox.html", ref=ref, amount=Money(asked.amount_minor, asked.currency))


@bp.post("/payments/sandbox/<ref>")
def answer_sandbox(ref: str) -> Response:
    """The shopper's answer at the bank; the bank sends them back."""
    bank = provider()
    assert isinstance(bank, SandboxProvider)
    return redirect(bank.answer_challenge(ref, approved=request.form.get("answer") == "approve"), 303)


@bp.post("/payments/webhooks/sandbox")
@csrf.exempt  # type: ignore[untyped-decorator]  # the provider signs what it sends; it has no session of ours
@limiter.limit("600 per minute")
def webhook() -> FlaskResponse:
    """A notice from the provider; 200 also when it came before, so that it stops sending."""
    body = request.get_data(cache=False)[:MAX_WEBHOOK_BYTES]
    news = provider().read_webhook(body, request.headers.get("X-Signature", ""))
    return jsonify(is_new=receive(news, provider(), now()))


def _next_stop(key: str, outcome: Outcome) -> Response:
    match outcome.status:
        case "placed":
            order = order_by_key(key)
            assert order is not None
            return show_placed(order)
        case "action_required" if outcome.action_url:
            return redirect(outcome.action_url, 303)
        case "declined":
            flash(outcome.message or "The bank said no. Nothing was charged.", "bad")
            return redirect(url_for("orders.checkout"), 303)
        case "refused":
            flash(outcome.message, "bad")
            return redirect(url_for("cart.show"), 303)
    return redirect(url_for("orders.payment", key=key), 303)


def _go(there: Response) -> Response:
    """Htmx must leave the page, not swap another one into it."""
    if not request.htmx:
        return there
    return FlaskResponse("", 200, {"HX-Redirect": there.headers["Location"]})
