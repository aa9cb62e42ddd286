"""Every place that holds something about a person, with how it is handed out and how it is erased (RS-018).

A test walks over all tables and fails when a column that can name a person is in no entry here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, inspect, or_, select, update

from shop_app.accounts.models import Address, IdentityMerge, Letter, MemberSession, User, WishlistItem
from shop_app.cart.models import Cart, CartLine
from shop_app.core.ids import new_token
from shop_app.experiments.models import ExperimentUnit
from shop_app.extensions import Base, db
from shop_app.orders.models import ERASED_EMAIL, Order, PaymentAttempt
from shop_app.outbox.models import ChangedEntity
from shop_app.tracking.models import Complaint, ConsentRecord, TrackedEvent


@dataclass(frozen=True, slots=True)
class Person:
    """Everything one person is known by: the keys of the member and of the browsers merged into them."""

    keys: tuple[str, ...]
    user_id: int | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A table: the columns that name the person, whose rows are theirs, what export leaves out, how erasing works."""

    model: type[Base]
    columns: tuple[str, ...]
    theirs: Callable[[Person], "ColumnElement[bool]"]
    secret: tuple[str, ...] = ()
    replace: Callable[[], dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        return str(self.model.__tablename__)

    def export(self, person: Person) -> list[dict[str, Any]]:
        """The person's rows as plain values, without secrets of the shop."""
        rows = db.session.scalars(select(self.model).where(self.theirs(person)))
        names = [column.key for column in inspect(self.model).columns if column.key not in self.secret]
        return [{name: getattr(row, name) for name in names} for row in rows]

    def erase(self, person: Person) -> int:
        """Delete the rows, or put nobody in the person's place where the row must stay. Returns how many rows."""
        if self.replace is None:
            result = db.session.execute(delete(self.model).where(self.theirs(person)), execution_options=_PLAIN)
            return int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE gives a cursor result
        values = self.replace()
        result = db.session.execute(
            update(self.model).where(self.theirs(person)).values(**values), execution_options=_PLAIN
        )
        return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a cursor result


_PLAIN = {"synchronize_session": False}


def _nobody() -> str:
    """A key that belongs to nobody: `x_` is neither a member's prefix nor a visitor's."""
    return "x_" + new_token()


def _carts(person: Person) -> Any:
    return select(Cart.id).where(Cart.shopper_key.in_(person.keys))


def _by_user(column: Any) -> "Callable[[Person], ColumnElement[bool]]":
    return lambda person: column == (person.user_id or 0)


def _by_key(column: Any) -> "Callable[[Person], ColumnElement[bool]]":
    return lambda person: column.in_(person.keys)


HOLDINGS: tuple[Holding, ...] = (
    Holding(TrackedEvent, ("shopper_key", "session_id", "meta"), _by_key(TrackedEvent.shopper_key)),
    Holding(ConsentRecord, ("shopper_key",), _by_key(ConsentRecord.shopper_key)),
    Holding(ExperimentUnit, ("shopper_key", "unit"), _by_key(ExperimentUnit.shopper_key)),
    Holding(
        Complaint, ("shopper_key", "turned_away"), _by_key(Complaint.shopper_key),
        replace=lambda: {"shopper_key": None, "request_id": None, "turned_away": None},
    ),
    Holding(CartLine, (), lambda person: CartLine.cart_id.in_(_carts(person))),
    Holding(
        PaymentAttempt, ("shopper_key", "checkout", "key"), _by_key(PaymentAttempt.shopper_key),
        secret=("provider_ref",), replace=lambda: {"shopper_key": _nobody(), "checkout": {}},
    ),
    Holding(
        Order, ("shopper_key", "user_id", "email", "address", "access_token", "idempotency_key"),
        lambda person: or_(Order.shopper_key.in_(person.keys), Order.user_id == (person.user_id or 0)),
        secret=("access_token", "idempotency_key"),
        replace=lambda: {
            "shopper_key": _nobody(), "user_id": None, "email": ERASED_EMAIL, "address": {},
            "access_token": new_token(),
        },
    ),
    Holding(
        Cart, ("shopper_key", "token"), _by_key(Cart.shopper_key),
        replace=lambda: {"shopper_key": _nobody(), "status": "closed"},
    ),
    Holding(WishlistItem, ("shopper_key",), _by_key(WishlistItem.shopper_key)),
    Holding(
        IdentityMerge, ("anonymous_key", "member_key"),
        lambda person: or_(IdentityMerge.member_key.in_(person.keys), IdentityMerge.anonymous_key.in_(person.keys)),
    ),
    Holding(
        ChangedEntity, ("entity_id",),
        lambda person: (ChangedEntity.kind == "user") & (ChangedEntity.entity_id == (person.user_id or 0)),
    ),
    Holding(Address, ("user_id", "full_name", "line1", "line2", "city", "postcode"), _by_user(Address.user_id)),
    Holding(MemberSession, ("user_id", "token_hash"), _by_user(MemberSession.user_id), secret=("token_hash",)),
    Holding(Letter, ("user_id", "link"), _by_user(Letter.user_id), secret=("link",)),
    Holding(
        User, ("key", "email", "name", "password_hash", "totp_secret", "preferred_categories"), _by_user(User.id),
        secret=("password_hash", "totp_secret", "totp_last_step", "session_epoch"),
    ),
)  # fmt: skip
"""In the order of erasing: what refers to a row goes before it."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What lies outside the shop's tables: where, what of a person it holds, how it is handed out and what ends it.

    `names` are Redis key patterns (`*` for anything) or `table.column` of the engine, as the place has them.
    """

    place: str
    names: tuple[str, ...]
    holds: str
    export: str
    erase: str


ELSEWHERE = (
    Elsewhere(
        "Recsys", (
            "engine_users.user_id", "engine_users.traits", "engine_earlier.key", "engine_earlier.body",
            "engine_events.user_id", "engine_events.meta",
        ),
        "the opaque key, traits, events", "`services.export` asks Recsys", "`forget_users`, twice (see `Erasure`)",
    ),
    Elsewhere(
        "Recsys, what it served",
        (
            "engine_decisions.user_hash", "engine_decisions.body", "engine_bandit_decisions.user_hash",
            "engine_bandit_decisions.bucket_key",
        ),
        "lists and policies chosen for a hash of the key", "not by name: the console finds them by the hash",
        "`forget_users`, with the rewards",
    ),
    Elsewhere(
        "Recsys, what it learned", ("engine_snapshots.name",),
        "counts in memory and in snapshot files, which hold keys", "the events they come from",
        "`forget_users` takes back exactly what the person added; snapshots from before are deleted",
    ),
    Elsewhere(
        "Recsys, its log of operations", ("engine_operations.payload",),
        "a hash of the key of who was erased", "nothing to hand out", "kept: every copy of the engine must obey",
    ),
    Elsewhere("Redis, queue", ("rq:*",), "names of jobs, never arguments", "nothing to hand out", "nothing to erase"),
    Elsewhere("Redis, cron", ("shop:cron",), "which process ticks", "nothing to hand out", "nothing to erase"),
    Elsewhere(
        "Redis, rate limits", ("LIMITS:*", "LIMITER*"), "network addresses, hashes of e-mail addresses",
        "too short-lived to hand out", "each ends with its window, an hour at most; the append-only file is rewritten",
    ),
    Elsewhere(
        "memory of web processes", (), "the last lists by key, ids of products only", "nothing to hand out",
        "half an hour at most, and never shown to another key",
    ),
    Elsewhere(
        "log files", (), "names of requests and jobs; personal data is taken out before writing, addresses and "
        "searches are never written", "nothing to hand out", "rotated by the machine",
    ),
    Elsewhere(
        "cookies", (), "signed: anonymous key, visit, consent, which account the browser knows", "in the browser",
        "cleared at once in the browser that asks; dead in others",
    ),
    Elsewhere(
        "write-ahead logs of SQLite", (), "pages with rows deleted since", "the rows they held",
        "cut after each erasure and every ten minutes; deleted rows are overwritten in the database itself",
    ),
    Elsewhere(
        "sandbox_payment", (), "what another company would hold, under the payment's key", "theirs to hand out",
        "theirs to erase",
    ),
    Elsewhere(
        "audit_entry", (), "what staff did; members are named by a hash, orders by number", "nothing to hand out",
        "kept, hash-chained",
    ),
)  # fmt: skip
"""Holdings outside these tables. Tests compare them with what Redis and the engine really have."""

HARMLESS = {
    "alert.acknowledged_by": "staff",
    "audit_entry.actor": "staff",  # their subjects: see ELSEWHERE
    "experiment.key": "the experiment's own name",
    "experiment.created_by": "staff",
    "bandit_run.started_by": "staff",
    "study.asked_by": "staff",
    "site_setting.key": "a setting's name",
    "site_setting.updated_by": "staff",
    "sandbox_payment.key": "another company's database",
    "tombstone.key_hash": "a hash of a random key, kept to obey",
    "erasure.keys": "emptied when the erasure is done",
    "sink_state.name": "a stream",
    "replay.name": "a run",
    "brand.name": "a company",
    "catalogue_upload.name": "a file's name",
    "catalogue_upload.uploaded_by": "staff",
    "category.name": "a department",
}
"""Columns whose names sound like a person and are none, with what they are."""

HARMLESS_AT_RECSYS = {
    "engine_documents.key": "a rule's or setting's own name",
    "engine_documents.body": "rules and settings",
    "engine_document_history.key": "as above",
    "engine_document_history.body": "as above",
    "engine_document_history.author": "staff",
    "engine_evaluations.body": "figures about everybody together",
    "engine_settings_sets.body": "settings",
}
"""The same for the engine's tables."""
