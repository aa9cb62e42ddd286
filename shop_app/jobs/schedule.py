"""Which jobs exist, where they live and how often they run. Tests import every path."""

from dataclasses import dataclass
from datetime import datetime, timedelta

QUEUE = "default"


@dataclass(frozen=True, slots=True)
class Task:
    """A job by name. `every` is how often cron asks for it; `timeout` when the worker gives it up."""

    name: str
    path: str
    every: timedelta
    timeout: timedelta = timedelta(minutes=2)


DELIVER = Task("deliver", "shop_app.jobs.delivery.deliver", every=timedelta(seconds=1))
SUMMARISE = Task("summarise", "shop_app.jobs.analytics.summarise", every=timedelta(seconds=20))
ALERTS = Task("alerts", "shop_app.jobs.analytics.watch", every=timedelta(minutes=5))
EXPERIMENTS = Task("experiments", "shop_app.jobs.experiments.watch", every=timedelta(minutes=1))
BANDITS = Task("bandits", "shop_app.jobs.experiments.watch_bandits", every=timedelta(seconds=30))
SETTLE_PAYMENTS = Task("settle_payments", "shop_app.jobs.payments.settle", every=timedelta(minutes=1))
RECONCILE = Task("reconcile", "shop_app.jobs.reconciliation.reconcile", every=timedelta(minutes=5))
FORGET = Task("forget", "shop_app.jobs.privacy.forget", every=timedelta(seconds=15))
RETAIN = Task("retain", "shop_app.jobs.privacy.retain", every=timedelta(minutes=10))
CANARY = Task("canary", "shop_app.jobs.canary.probe", every=timedelta(minutes=2))
TIDY_COUNTS = Task("tidy_counts", "shop_app.jobs.metering.tidy", every=timedelta(minutes=20))
STUDIES = Task("studies", "shop_app.jobs.studies.begin", every=timedelta(seconds=5))
LINKS = Task("links", "shop_app.jobs.links.begin", every=timedelta(seconds=5))
EMBED = Task("embed", "shop_app.jobs.recommender.embed", every=timedelta(seconds=10))
REFIT = Task("refit", "shop_app.jobs.recommender.refit", every=timedelta(minutes=5))
TASKS: tuple[Task, ...] = (
    DELIVER, SUMMARISE, ALERTS, EXPERIMENTS, BANDITS, SETTLE_PAYMENTS, RECONCILE, FORGET, RETAIN, CANARY, TIDY_COUNTS,
    STUDIES, LINKS, EMBED, REFIT,
)  # fmt: skip


def due(tasks: tuple[Task, ...], last_run: dict[str, datetime], now: datetime) -> list[Task]:
    """Tasks whose interval has passed since they were last asked for; never asked means now."""
    return [task for task in tasks if task.name not in last_run or now - last_run[task.name] >= task.every]
