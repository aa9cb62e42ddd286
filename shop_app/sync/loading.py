"""Filling the shop: catalogue files, past events, whole folders, and the demo scenarios.

Every function opens its own transactions, one a batch, so that a long import never locks others out for long.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from shop_app.accounts.models import User
from shop_app.accounts.services import create_user, find_user
from shop_app.catalog.demo.catalogue import demo_catalogue
from shop_app.catalog.demo.edge import edge_catalogue
from shop_app.catalog.demo.logins import LOGINS
from shop_app.catalog.demo.shoppers import DEMO_SHOPPER, Street
from shop_app.catalog.importing.history import History, median_prices, read_history
from shop_app.catalog.importing.products import Defaults, product_rows
from shop_app.catalog.importing.rows import EventRow, ProductRow, RowError
from shop_app.catalog.importing.writer import ProductWriter, Tally, batches
from shop_app.catalog.models import Product
from shop_app.catalog.services import order_departments_by_size
from shop_app.core.errors import InvalidInput
from shop_app.core.shopper import Consent
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.recsys.gateway import RecsysGateway
from shop_app.sync.history import BATCH, HistoryTally, HistoryWriter
from shop_app.tracking.consent import record_consent

SEED = 7
SMALL_SHOPPERS = 12
SCENARIOS = ("small", "demo", "edge")
CATALOGUE_NAMES = ("items", "products", "catalogue", "catalog")
HISTORY_NAMES = ("events", "transactions", "history", "orders")
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The files of a real shop: catalogues in the order of their names, and one history if there is one."""

    catalogues: tuple[Path, ...]
    history: Path | None


def find_data(folder: Path) -> DataFolder:
    """Tell the catalogue from the history by their names: `items.*` or `products.*`, `events.*` or `transactions.*`.

    Without such a name every table in the folder is a catalogue.

    Raises:
        InvalidInput: there is no such folder, or nothing in it to read.

    """
    if not folder.is_dir():
        raise InvalidInput({"data": [f"{folder} is not a folder"]})
    files = sorted(path for path in folder.iterdir() if _stem_and_kind(path)[1])
    named = [path for path in files if _stem_and_kind(path)[0] in CATALOGUE_NAMES]
    history = next((path for path in files if _stem_and_kind(path)[0] in HISTORY_NAMES), None)
    catalogues = named or [path for path in files if path != history and path.suffix != ".parquet"]
    if not catalogues:
        raise InvalidInput({"data": [f"{folder} holds no catalogue (items.csv, products.csv, …)"]})
    return DataFolder(tuple(catalogues), history)


def load_catalogue(rows: Iterable[ProductRow | RowError], now: datetime, progress: Progress = lambda _: None) -> Tally:
    """Store product rows batch by batch; `progress` hears how many each batch had."""
    writer = ProductWriter()
    for batch in batches(rows):
        with unit_of_work(db.session):
            writer.store(batch, now)
        db.session.expunge_all()
        progress(len(batch))
    return writer.tally


def load_catalogue_file(path: Path, defaults: Defaults, now: datetime, progress: Progress = lambda _: None) -> Tally:
    """Read and store one catalogue file.

    Raises:
        InvalidInput: the format is none of ours.

    """
    return load_catalogue(product_rows(path, defaults), now, progress)


def load_history(
    history: History,
    gateway: RecsysGateway | None,
    now: datetime,
    *,
    is_shifted: bool = False,
    progress: Progress = lambda _: None,
) -> HistoryTally:
    """Store past events with their own times; `is_shifted` moves them all by whole weeks, so that they are recent."""
    shift = _weeks_until(now, history) if is_shifted and len(history) else timedelta(0)
    tally = _load_events(history.batches(BATCH, shift.total_seconds()), gateway, now, progress=progress)
    tally.errors[:0] = history.errors
    return tally


def load_folder(
    folder: Path, currency: str, gateway: RecsysGateway | None, now: datetime, progress: Progress = lambda _: None
) -> tuple[Tally, HistoryTally]:
    """Sell what is in `folder`: its catalogue, and its history moved to the last weeks, which may give the prices.

    Raises:
        InvalidInput: nothing there that can be read.

    """
    data = find_data(folder)
    history = read_history(data.history) if data.history else None
    defaults = Defaults(currency, median_prices(history) if history else {})
    total = Tally()
    for path in data.catalogues:
        part = load_catalogue_file(path, defaults, now, progress)
        total.created, total.changed = total.created + part.created, total.changed + part.changed
        total.unchanged, total.errors = total.unchanged + part.unchanged, total.errors + part.errors
    with unit_of_work(db.session):
        order_departments_by_size()
    if history is None:
        return total, HistoryTally()
    return total, load_history(history, gateway, now, is_shifted=True, progress=progress)


def seed(
    scenario: str,
    gateway: RecsysGateway | None,
    now: datetime,
    progress: Progress = lambda _: None,
    *,
    is_resumed: bool = False,
) -> tuple[Tally, HistoryTally]:
    """Fill the shop with a named scenario; a second time changes nothing. `is_resumed` completes a history half in.

    small: a product of every other kind and a dozen shoppers, for tests. demo: everything. edge: awkward products only.

    Raises:
        InvalidInput: no such scenario.

    """
    if scenario not in SCENARIOS:
        raise InvalidInput({"scenario": [f"must be one of {', '.join(SCENARIOS)}"]})
    catalogue = scenario_catalogue(scenario)
    products = load_catalogue(catalogue, now, progress)
    shopper = _make_logins(now)
    if scenario == "edge" or (has_history() and not is_resumed):
        return products, HistoryTally()
    people = SMALL_SHOPPERS if scenario == "small" else None
    street = Street(catalogue, SEED, shoppers=people) if people else Street(catalogue, SEED)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    events = street.events(midnight)
    return products, _load_events(
        _whole_visits(events), gateway, now, members={DEMO_SHOPPER: shopper}, progress=progress
    )


def is_empty() -> bool:
    """Whether the shop sells nothing yet."""
    return db.session.scalars(select(Product.id).limit(1)).first() is None


def has_history() -> bool:
    """Whether past orders were brought in before."""
    return db.session.scalars(select(Order.id).where(Order.is_imported).limit(1)).first() is not None


def scenario_catalogue(scenario: str) -> tuple[ProductRow, ...]:
    """The products of a scenario."""
    if scenario == "edge":
        return edge_catalogue()
    if scenario == "demo":
        return demo_catalogue(SEED)
    rows = demo_catalogue(SEED, per_kind=1)
    kept = [row for row in rows if not row.components][::2]
    skus = {row.sku for row in kept}
    return (*kept, *(row for row in rows if row.components and {sku for sku, _ in row.components} <= skus))


def _load_events(
    parts: Iterable[Sequence[EventRow]],
    gateway: RecsysGateway | None,
    now: datetime,
    *,
    members: dict[str, User] | None = None,
    progress: Progress = lambda _: None,
) -> HistoryTally:
    writer = HistoryWriter(gateway, now, members)
    db.session.rollback()  # the reads above end here
    with _collector_resting():
        for part in parts:
            with unit_of_work(db.session):
                writer.store(part)
            db.session.expunge_all()
            progress(len(part))
    with unit_of_work(db.session):
        writer.finish()
    return writer.tally


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Rows hold no cycles; looking for some among a million takes a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _whole_visits(events: Sequence[EventRow]) -> Iterable[list[EventRow]]:
    """In lists of about `BATCH`, every visit whole."""
    visits: dict[str, list[EventRow]] = {}
    for event in events:
        visits.setdefault(event.basket, []).append(event)
    part: list[EventRow] = []
    for visit in visits.values():
        part += visit
        if len(part) >= BATCH:
            yield part
            part = []
    if part:
        yield part


def _make_logins(now: datetime) -> User:
    """The demo's three people, made when missing; returns the shopper."""
    with unit_of_work(db.session):
        for email, password, name, role in LOGINS:
            if find_user(email) is None:
                user = create_user(email, password, name, role, now=now)
                record_consent(user.key, Consent(analytics=True, personalisation=True), now)
    shopper = find_user(DEMO_SHOPPER)
    assert shopper is not None
    db.session.expunge(shopper)
    return shopper


def _weeks_until(now: datetime, history: History) -> timedelta:
    """The most whole weeks that still leave the last event before `now`: weekdays keep their meaning."""
    return timedelta(weeks=max(0, (now - history.newest()) // timedelta(weeks=1)))


def _stem_and_kind(path: Path) -> tuple[str, str]:
    """`items.csv.gz` → ("items", "csv"); no kind for what is no table."""
    stem, _, kind = path.name.lower().removesuffix(".gz").rpartition(".")
    return stem, kind if kind in {"csv", "tsv", "jsonl", "ndjson", "xml", "parquet"} else ""
