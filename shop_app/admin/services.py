"""What the console itself writes: product edits, marks for a full re-sync, dead letters, event weights, roles."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from recsys_engine.contract import EventTypeConfig
from shop_app.accounts.models import User
from shop_app.admin.edits import BulkEdit, ProductEdit
from shop_app.admin.queries.people import person
from shop_app.admin.queries.products import by_skus
from shop_app.catalog import services as catalog
from shop_app.catalog.importing.rows import ProductRow, RowError
from shop_app.catalog.importing.uploads import ImportPlan, claim_upload
from shop_app.catalog.importing.writer import Tally
from shop_app.catalog.links.checks import ask_for_checks
from shop_app.catalog.models import CatalogueUpload, Category, Product
from shop_app.core.errors import Conflict
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, rows_changed
from shop_app.outbox.services import mark_changed
from shop_app.recsys.gateway import RecsysGateway
from shop_app.site_settings.services import audit, audit_engine
from shop_app.sync.loading import load_catalogue
from shop_app.tracking.delivery import key_hash
from shop_app.tracking.models import TrackedEvent


def edit_product(product: Product, edit: ProductEdit, actor: str, now: datetime) -> None:
    """Change one product; Recsys is told through the outbox.

    Raises:
        InvalidInput: a value breaks a rule of the catalogue.

    """
    before = _snapshot(product)
    options = {variant.sku: variant.options for variant in product.variants}
    draft = replace(
        _draft(product),
        title=edit.title,
        description=edit.description,
        compare_at_minor=edit.compare_at_minor,
        status=edit.status,
        variants=[catalog.VariantDraft(one.sku, one.price_minor, one.stock, options[one.sku]) for one in edit.variants],
    )
    catalog.change_product(product.sku, draft, now)
    audit(actor=actor, action="catalog.change", subject=product.sku, before=before, after=_snapshot(product), now=now)


def edit_products(skus: Sequence[str], edit: BulkEdit, actor: str, now: datetime) -> int:
    """Make one change to many products, in the order of their SKUs; returns how many there were."""
    products = by_skus(skus)
    for product in products:
        if edit.status is not None:
            catalog.set_status(product.sku, edit.status, now)
        for variant in product.variants:
            if edit.stock is not None:
                catalog.set_stock(variant.sku, edit.stock, now)
            if edit.price_percent is not None:
                catalog.set_price(variant.sku, round(variant.price_minor * (1 + edit.price_percent / 100)), now)
    audit(
        actor=actor,
        action="catalog.bulk",
        subject=f"{len(products)} products",
        after={name: value for name, value in asdict(edit).items() if value is not None},
        note=", ".join(product.sku for product in products),
        now=now,
    )
    return len(products)


def store_import(
    upload: CatalogueUpload, rows: Sequence[ProductRow | RowError], plan: ImportPlan, actor: str, now: datetime
) -> Tally:
    """Store an uploaded catalogue, batch by batch in transactions of its own, after a line in the audit trail that says
    what was shown. Half done and uploaded again, it goes on where it was.

    Raises:
        Conflict: the file was stored already.

    """
    planned = {
        "created": len(plan.created),
        "changed": len(plan.changed),
        "unchanged": plan.unchanged,
        "refused": len(plan.errors),
    }
    with unit_of_work(db.session):
        claim_upload(upload.id, now)
        audit(actor=actor, action="catalog.import", subject=upload.name, after=planned, note=plan.fingerprint, now=now)
    return load_catalogue(rows, now)


def ask_for_link_checks(skus: Sequence[str], site_url: str, actor: str, now: datetime) -> int:
    """Have a worker look at the addresses of these products; returns how many addresses there are."""
    number = ask_for_checks(by_skus(skus), site_url, now)
    audit(actor=actor, action="catalog.links", subject=f"{number} addresses", note=", ".join(skus), now=now)
    return number


def _draft(product: Product) -> catalog.ProductDraft:
    """The product as it is."""
    return catalog.ProductDraft(
        sku=product.sku,
        title=product.title,
        category=_names(product.category),
        price_minor=product.price_minor,
        currency=product.currency,
        stock=product.stock,
        brand=product.brand.name if product.brand else "",
        kind=product.kind,
        facets=product.facets,
        image_urls=product.image_urls,
        components=[(part.product.sku, part.quantity) for part in product.components],
    )


def _names(category: Category | None) -> list[str]:
    return [*_names(category.parent), category.name] if category else []


def _snapshot(product: Product) -> dict[str, Any]:
    shown = ("title", "description", "price_minor", "compare_at_minor", "stock", "status")
    return {name: getattr(product, name) for name in shown}


def resync_all(what: Sequence[str], actor: str, now: datetime) -> dict[str, int]:
    """Mark every item and/or member as changed; the outbox sends them in batches. Returns how many of each."""
    marked: dict[str, int] = {}
    if "items" in what:
        marked["items"] = mark_changed("item", db.session.scalars(select(Product.id)), now)
    if "users" in what:
        marked["users"] = mark_changed("user", db.session.scalars(select(User.id)), now)
    audit(actor=actor, action="sync.resync", subject="recsys", after=dict(marked), now=now)
    return marked


def requeue_dead_events(event_ids: Sequence[int] | None, actor: str, now: datetime) -> int:
    """Put refused events back into the queue as if new: these, or all of them for None. Returns how many."""
    query = update(TrackedEvent).where(TrackedEvent.delivery == "dead")
    if event_ids is not None:
        query = query.where(TrackedEvent.id.in_(event_ids))
    fresh = {"delivery": "pending", "attempts": 0, "next_attempt_at": now, "lease_until": None, "lease_token": None}  # nosec B105 - no password
    count = rows_changed(query.values(**fresh).execution_options(synchronize_session=False))
    audit(actor=actor, action="events.requeue", subject="dead letters", after={"events": count}, now=now)
    return count


def mend_dead_event(event_id: int, item_id: str | None, value: float, actor: str, now: datetime) -> None:
    """Put a refused event right and back into the queue as if new. What an order says of it stands in the order.

    Raises:
        Conflict: it is no dead letter any more.

    """
    row = db.session.get(TrackedEvent, event_id, with_for_update=True)
    if row is None or row.delivery != "dead":
        raise Conflict("This event is no dead letter any more.")
    before = {"item_id": row.item_id, "value": row.value, "error": row.error_code}
    row.item_id, row.value = item_id, value
    row.delivery, row.attempts, row.next_attempt_at, row.lease_until, row.lease_token = "pending", 0, now, None, None
    row.error_code = row.error_path = row.last_error = None
    after = {"item_id": item_id, "value": value}
    audit(actor=actor, action="events.mend", subject=f"event {event_id}", before=before, after=after, now=now)


def change_event_types(
    gateway: RecsysGateway,
    types: Sequence[EventTypeConfig],
    seen: Sequence[dict[str, Any]],
    actor: str,
    now: datetime,
) -> None:
    """Set weights and half-lives at the recommender and note it. `seen` is what the admin's page was filled with.

    Raises:
        Conflict: somebody changed them meanwhile.

    """
    before = described(gateway.event_types())
    if before != list(seen):
        raise Conflict("Somebody changed the event weights meanwhile.")
    gateway.put_event_types(types)
    audit_engine(
        actor=actor,
        action="engine.event_types",
        subject="event types",
        before={"types": before},
        after={"types": described(types)},
        now=now,
    )


def described(types: Sequence[EventTypeConfig]) -> list[dict[str, Any]]:
    """Event types as plain data, without where they came from."""
    return [{name: value for name, value in asdict(one).items() if name in _SHOWN} for one in types]


_SHOWN = ("type", "weight", "half_life_days")


def member_subject(key: str) -> str:
    """How the audit trail, which nobody can erase from, names a member: a hash outlives them and tells nothing."""
    return f"member {key_hash(key)[:16]}"


def change_role(user_id: int, role: str, actor: str, now: datetime) -> User:
    """Give a member another role and sign them out everywhere. The role is already checked by the form.

    Raises:
        NotFound: there is no such member.
        Conflict: it is the actor's own; nobody locks themselves out or promotes themselves.

    """
    user = person(user_id)
    if user.key == actor:
        raise Conflict("Nobody changes their own role.")
    before, user.role = user.role, role
    user.session_epoch += 1
    audit(
        actor=actor,
        action="people.role",
        subject=member_subject(user.key),
        before={"role": before},
        after={"role": role},
        now=now,
    )
    return user
