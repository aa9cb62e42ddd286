"""Past events out of CSV and Parquet files, checked column by column, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shop_app.catalog.importing.fields import SKU_UNSAFE
from shop_app.catalog.importing.rows import EventRow, RowError
from shop_app.core.errors import InvalidInput
from shop_app.core.events import EventKind
from shop_app.core.lazily import Lazily

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
else:
    pa = Lazily("pyarrow")
pc, arrow_csv, parquet = Lazily("pyarrow.compute"), Lazily("pyarrow.csv"), Lazily("pyarrow.parquet")

NAMES = {
    "shopper": ("user", "user_id", "household_id", "customer_id", "shopper"),
    "item": ("item", "item_id", "product_id", "sku", "stockcode"),
    "basket": ("basket", "basket_id", "order_id", "invoice"),
    "ts": ("ts", "timestamp", "transaction_timestamp", "occurred_at", "time"),
    "type": ("type", "event", "event_type"),
    "value": ("value", "quantity", "qty"),
    "price": ("price", "unit_price"),
    "total": ("sales_value", "line_total"),
}
"""What a column may be called, best first."""
REQUIRED = ("shopper", "item", "ts")
TYPES = {kind.name.lower(): int(kind) for kind in EventKind}
MAX_VALUE = 1e6
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class History:
    """Checked columns, sorted so that baskets stay together and time goes up; `lines` are lines of the file (1-based).

    `prices` are minor units of one piece, `moments` unix seconds. Bad rows are in `errors` and nowhere else.
    """

    shoppers: pa.Array
    items: pa.Array
    baskets: pa.Array
    moments: Floats
    types: npt.NDArray[np.int64]
    values: Floats
    prices: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    errors: tuple[RowError, ...]

    def __len__(self) -> int:
        return len(self.moments)

    def newest(self) -> datetime:
        """When the last event happened. Raises ValueError for an empty history."""
        return datetime.fromtimestamp(float(self.moments.max()), UTC)

    def batches(self, size: int, shift_s: float = 0.0) -> Iterator[list[EventRow]]:
        """Events in lists of about `size`, whole baskets each, moved forward by `shift_s` seconds."""
        start = 0
        while start < len(self):
            end = self._basket_end(min(start + size, len(self)))
            yield self._rows(start, end, shift_s)
            start = end

    def _basket_end(self, end: int) -> int:
        while end < len(self) and self.baskets[end].as_py() and self.baskets[end] == self.baskets[end - 1]:
            end += 1
        return end

    def _rows(self, start: int, end: int, shift_s: float) -> list[EventRow]:
        part = slice(start, end)
        columns = zip(
            self.shoppers[part].to_pylist(),
            self.items[part].to_pylist(),
            self.types[part].tolist(),
            (self.moments[part] + shift_s).tolist(),
            self.values[part].tolist(),
            self.baskets[part].to_pylist(),
            self.prices[part].tolist(),
            self.lines[part].tolist(),
            strict=True,
        )
        moments = {at: datetime.fromtimestamp(at, UTC) for at in set((self.moments[part] + shift_s).tolist())}
        return [
            EventRow(shopper, item, kind, moments[at], value, basket, price, line)
            for shopper, item, kind, at, value, basket, price, line in columns
        ]


def read_history(path: Path) -> History:
    """Read a whole file of past events (a million rows take about 100 MB).

    Raises:
        InvalidInput: neither CSV nor Parquet, or a required column is missing.

    """
    table = _table(path)
    found = {name: _column(table, names) for name, names in NAMES.items()}
    if missing := [name for name in REQUIRED if found[name] is None]:
        raise InvalidInput({name: [f"no column named {' or '.join(NAMES[name])}"] for name in missing})
    return _checked(found, table.num_rows, first_line=1 if path.suffix == ".parquet" else 2)


def _table(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return parquet.read_table(path)
    if path.name.removesuffix(".gz").endswith(".csv"):
        texts = arrow_csv.ConvertOptions(column_types=dict.fromkeys(_text_columns(), pa.string()))
        return arrow_csv.read_csv(path, convert_options=texts)
    raise InvalidInput({"file": [f"{path.name}: expected .csv, .csv.gz or .parquet"]})


def _text_columns() -> list[str]:
    return [column for name in ("shopper", "item", "basket", "type") for column in NAMES[name]]


def _column(table: pa.Table, names: Sequence[str]) -> pa.ChunkedArray | None:
    by_name = {name.lower(): name for name in table.column_names}
    return next((table[by_name[name]] for name in names if name in by_name), None)


def _checked(found: dict[str, pa.ChunkedArray | None], count: int, first_line: int) -> History:
    shoppers, items = _texts(found["shopper"], count), _texts(found["item"], count)
    baskets = _texts(found["basket"], count)
    moments, types, values = _moments(found["ts"]), _types(found["type"], count), _numbers(found["value"], count, 1.0)
    prices = _prices(found, values, count)
    rules = (
        (NAMES["shopper"][0], "is missing", pc.equal(shoppers, "")),
        (NAMES["item"][0], "is missing", pc.equal(items, "")),
        (NAMES["ts"][0], "is not a time", np.isnan(moments)),
        (NAMES["type"][0], f"must be one of {', '.join(TYPES)}", types < 0),
        (NAMES["value"][0], "must be above 0 and at most a million", ~((values > 0) & (values <= MAX_VALUE))),
        (NAMES["price"][0], "must be a number, not below 0", ~(prices >= 0)),
    )
    is_bad = np.zeros(count, dtype=bool)
    errors: list[RowError] = []
    for field, message, broken in rules:
        mask = np.asarray(broken.to_numpy(zero_copy_only=False) if isinstance(broken, pa.Array) else broken, dtype=bool)
        errors += [RowError(int(row) + first_line, field, message) for row in np.flatnonzero(mask & ~is_bad)]
        is_bad |= mask
    order = _order(baskets, moments, np.flatnonzero(~is_bad))
    chosen = pa.array(order)
    return History(
        shoppers.take(chosen),
        items.take(chosen),
        baskets.take(chosen),
        moments[order],
        types[order],
        values[order],
        np.round(prices[order]).astype(np.int64),
        order + first_line,
        tuple(sorted(errors, key=lambda error: error.line)),
    )


def _order(baskets: pa.Array, moments: Floats, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows by the time their basket began, basket, then line: a basket's lines stay together."""
    codes = pc.dictionary_encode(baskets).indices.to_numpy(zero_copy_only=False)
    starts = np.full(int(codes.max(initial=-1)) + 1, np.inf)
    np.minimum.at(starts, codes[rows], moments[rows])
    has_basket = np.asarray(pc.not_equal(baskets, "").to_numpy(zero_copy_only=False), dtype=bool)
    began = np.where(has_basket, starts[codes], moments)
    return rows[np.lexsort((rows, codes[rows], began[rows]))]


def _texts(column: pa.ChunkedArray | None, count: int) -> pa.Array:
    if column is None:
        return pa.array([""] * count, pa.string())
    texts = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _numbers(column: pa.ChunkedArray | None, count: int, absent: float) -> Floats:
    """Numbers; `absent` where the column or the cell is empty, NaN where the cell is none."""
    if column is None:
        return np.full(count, absent)
    if pa.types.is_string(column.type):
        return np.array([_number(text, absent) for text in column.to_pylist()])
    return np.asarray(pc.fill_null(column.cast(pa.float64()), absent).to_numpy(), dtype=np.float64)


def _number(text: str | None, absent: float) -> float:
    if not (text or "").strip():
        return absent
    try:
        return float(text or "")
    except ValueError:
        return float("nan")


def _moments(column: Any) -> Floats:
    """Unix seconds; times without a zone are taken as UTC, texts as ISO 8601 or unix seconds."""
    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
        return _numbers(whole, len(column), 0.0) / 1e6
    if pa.types.is_string(column.type):
        return np.array([_moment(text) for text in column.to_pylist()])
    return _numbers(column, len(column), float("nan"))


def _moment(text: str | None) -> float:
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return _number(text, float("nan"))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _types(column: pa.ChunkedArray | None, count: int) -> npt.NDArray[np.int64]:
    """Event numbers; -1 for what is none. Without the column everything is a purchase."""
    if column is None:
        return np.full(count, int(EventKind.PURCHASE), dtype=np.int64)
    by_text = {**TYPES, **{str(number): number for number in TYPES.values()}}
    encoded = pc.dictionary_encode(_texts(column, count))
    numbers = np.array([by_text.get(word.lower(), -1) for word in encoded.dictionary.to_pylist()] or [-1])
    return np.asarray(numbers[encoded.indices.to_numpy(zero_copy_only=False)], dtype=np.int64)


def _prices(found: dict[str, pa.ChunkedArray | None], values: Floats, count: int) -> Floats:
    """Minor units of one piece (hundredths), from its price or from the line's total; 0 without either column."""
    if found["price"] is None and found["total"] is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 100 * _numbers(found["total"], count, 0.0) / values
    return 100 * _numbers(found["price"], count, 0.0)


def median_prices(history: History) -> dict[str, int]:
    """What each item usually cost, in minor units, by SKU; for catalogues that come without prices."""
    encoded = pc.dictionary_encode(history.items)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((history.prices, codes))
    firsts, counts = np.unique(codes[order], return_index=True, return_counts=True)[1:]
    middles = history.prices[order][firsts + counts // 2]
    skus = encoded.dictionary.take(pa.array(codes[order][firsts])).to_pylist()
    return {SKU_UNSAFE.sub("-", sku): int(price) for sku, price in zip(skus, middles, strict=True)}
