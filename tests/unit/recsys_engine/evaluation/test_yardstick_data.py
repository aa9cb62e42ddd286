import csv
import gzip
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_engine.signals.embeddings import WIDTH
from scripts.yardstick_data import events_of, items_of, prices, write_grocer, write_vectors

LATER, EARLIER = datetime(2017, 1, 2, 9, 30), datetime(2017, 1, 1, 8, 0)  # noqa: DTZ001  # the data names no zone


def _bought() -> pa.Table:
    return pa.table(
        {
            "household_id": [7, 7, 8, 8],
            "basket_id": [21, 21, 20, 20],
            "product_id": [501, 502, 501, 503],
            "quantity": [2, 1, 4, 0],
            "sales_value": [3.0, 2.5, 10.0, 0.0],
            "transaction_timestamp": pa.array([LATER, LATER, EARLIER, EARLIER], pa.timestamp("ns")),
        }
    )


def _products() -> pa.Table:
    return pa.table(
        {
            "product_id": [501, 502, 503, 999],
            "manufacturer_id": [69, 12, 69, 1],
            "department": ["GROCERY", "GROCERY", None, "GROCERY"],
            "brand": ["Private", "National", "Private", "National"],
            "product_category": ["CHEESE", "MILK", None, "MILK"],
            "product_type": ["SLICED CHEESE", "OAT MILK", None, "SOY MILK"],
            "package_size": ["16 OZ", None, None, "1 L"],
        }
    )


def test_lines_become_purchases_oldest_first_at_what_one_cost():
    told = events_of(_bought()).to_pylist()

    assert [(row["user"], row["basket"], row["item"]) for row in told] == [
        ("8", "20", "501"),
        ("8", "20", "503"),
        ("7", "21", "501"),
        ("7", "21", "502"),
    ]
    assert [(row["value"], row["price"]) for row in told] == [(4.0, 2.5), (1.0, 0.0), (2.0, 1.5), (1.0, 2.5)]
    assert [row["ts"] for row in told[1:3]] == [1_483_257_600, 1_483_349_400]
    assert {row["type"] for row in told} == {3}


def test_the_price_is_the_lower_median_of_what_was_paid_and_nothing_paid_is_no_price():
    assert prices(_bought()) == {501: 1.5, 502: 2.5, 503: 0.0}


def test_the_catalogue_holds_what_was_bought_and_a_product_without_a_kind_has_no_title():
    rows = list(items_of(_products(), prices(_bought())))

    assert [row[0] for row in rows] == ["501", "502", "503"]
    assert rows[0][1:] == (
        "SLICED CHEESE 16 OZ",
        "maker 69",
        "GROCERY",
        "CHEESE",
        "1.50",
        "grocery cheese sliced cheese private 16 oz",
    )
    assert rows[2][1:] == ("", "maker 69", "", "", "0.00", "private")


def test_files_are_the_same_twice_and_every_row_of_the_catalogue_gets_a_vector(tmp_path):
    pq.write_table(_bought(), tmp_path / "transactions.parquet")
    pq.write_table(_products(), tmp_path / "products.parquet")

    write_grocer(tmp_path, tmp_path / "once")
    write_grocer(tmp_path, tmp_path / "twice")
    write_vectors(tmp_path / "once" / "items.csv.gz", tmp_path / "vectors.npz")

    for name in ("events.parquet", "items.csv.gz"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()
    with gzip.open(tmp_path / "once" / "items.csv.gz", "rt") as file:
        assert len(list(csv.DictReader(file))) == 3
    made = np.load(tmp_path / "vectors.npz")
    assert made["ids"].tolist() == ["501", "502", "503"]
    assert made["E"].shape == (3, WIDTH)
