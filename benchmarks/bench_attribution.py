"""Does attribution hold to the line on a simulated month, and on one where one line in a hundred was damaged?

    python -m benchmarks.bench_attribution [--shoppers 60] [--days 28] [--keenness 1]

Simulated shoppers buy through the real pages of a throw-away shop. Every credit is compared with what the shopper truly
clicked; then faults of five kinds are done to 1 % of the lines, and each must be listed by name and nothing else.
"""

import argparse
import os
import random
import tempfile
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.period import last_days
from shop_app.analytics.queries.proof import proof
from shop_app.analytics.services import credit_order_lines
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.simulator.running import InProcess
from shop_app.simulator.town import Plan, Town
from shop_app.simulator.truth import TruthList
from shop_app.sync.loading import seed
from shop_app.sync.services import Carrier, drain
from tests.factories.faults import FAULTS, damage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shoppers", type=int, default=60)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--keenness", type=float, default=1.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attribution-") as folder:
        app = _shop(folder)
        truth = _month(app, asked)
        with app.app_context():
            while credit_order_lines(datetime.now(UTC)):
                db.session.commit()
            report(truth, asked.days)


def _shop(folder: str) -> Flask:
    app = create_app(
        load_settings(
            {
                "SECRET_KEY": "benchmark-only-" * 3,
                "DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3",
                "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
                "REDIS_URL": os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"),
                "VAR_DIR": folder,
                "RATE_LIMITS": "off",
            }
        )
    )
    with app.app_context():
        db.create_all()
        seed("small", app.extensions["recsys"], datetime.now(UTC), lambda _: None)
        drain(Carrier(app.extensions["recsys"], app.extensions["clock"], random.Random(1), ""))
        db.session.remove()
    return app


def _month(app: Flask, asked: argparse.Namespace) -> TruthList:
    truth = TruthList()
    start = datetime.now(UTC) - timedelta(days=asked.days)
    plan = Plan(seed=7, shoppers=asked.shoppers, start=start, days=asked.days, run="b", keenness=asked.keenness)
    way = InProcess(app, app.extensions["clock"], lambda _: None)

    def work() -> None:
        for _ in Town(plan, way.host, way.door, way.set_clock, truth).live():
            pass
        way.close()

    Context().run(work)
    return truth


def report(truth: TruthList, days: int) -> None:
    period = last_days(days + 2, datetime.now(UTC).date())
    sums = proof(period)
    ordered = truth.of("ordered")
    consents = {fact["shopper"]: fact["consent"] for fact in truth.of("shopper")}
    visits = len(truth.of("visit"))
    print(f"{visits:,} visits, {len(ordered):,} orders, {sums.lines:,} lines; the proof holds: {sums.holds}")
    print(f"credited {sums.credited_minor:,} of {sums.ordered_minor:,}: {sums.credited}")
    judged = wrong = 0
    for order in ordered:
        lines = db.session.scalars(select(OrderLine).join(Order).where(Order.number == order["number"])).all()
        for line in lines if consents[order["shopper"]] == "all" else ():
            judged += 1
            wrong += db.session.get_one(OrderLineCredit, line.id).credit != true_credit(truth, order, line.item_id)
    print(f"{judged - wrong:,} of {judged:,} credits are what the shopper's true clicks say")
    lines = db.session.scalars(select(OrderLine).join(Order).where(Order.is_imported.is_(False))).all()
    harmed = random.Random(3).sample(list(lines), min(len(lines), max(len(FAULTS), round(len(lines) / 100))))
    expected = {damage(line, FAULTS[n % len(FAULTS)]) for n, line in enumerate(harmed)}
    db.session.commit()
    listed = {(d.kind, d.order_number, d.position) for d in proof(period).differences}
    print(
        f"{len(expected)} faults done; listed {len(expected & listed)}, and {len(listed - expected)} that were not done"
    )


def true_credit(truth: TruthList, order: Any, sku: str) -> str:
    """The rule applied to what the shopper did."""
    at = datetime.fromisoformat(order["at"])
    seen = [
        (at - datetime.fromisoformat(fact["at"]), fact["clicked"])
        for fact in truth.of("seen")
        if fact["shopper"] == order["shopper"] and fact["sku"] == sku and fact["request_id"]
    ]
    clicks = [age for age, is_click in seen if is_click and timedelta(0) <= age <= timedelta(days=7)]
    if clicks:
        return "click_24h" if min(clicks) <= timedelta(hours=24) else "click_7d"
    return "view" if any(timedelta(0) <= age <= timedelta(hours=24) for age, _ in seen) else "organic"


if __name__ == "__main__":
    main()
