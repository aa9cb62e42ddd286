"""Reading the plan of an experiment and the questions put to the power calculator."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

from shop_app.core.errors import InvalidInput
from shop_app.core.money import parse_money
from shop_app.experiments.bucketing import Target
from shop_app.experiments.guardrails import Guardrail
from shop_app.experiments.metrics import METRICS
from shop_app.experiments.services import ENGINE, ENGINE_KNOBS, ExperimentPlan, Variant
from shop_app.experiments.statistics.power import proportion_sample_size
from shop_app.site_settings.forms import MAX_K, MAX_TITLE_CHARS

DEFAULT_RULE = (
    "Ship when the arms hold their planned shares, every guardrail holds and the always-valid interval of the primary "
    "metric lies above zero, after one full week at least. Otherwise keep the control."
)
TREATMENTS = (1, 2)
DEVICES = ("phone", "tablet", "desktop")
PEOPLE = {"": "Everybody", "members": "Members, signed in", "guests": "Guests"}
MAX_CAP_MINOR = 2_000_000_000
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,4})?")

Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class PowerQuestion:
    """How many shoppers show a rise of `lift` (relative) from `base` (a rate per shopper) in `power` of all cases?"""

    base: float = 0.05
    lift: float = 0.1
    power: float = 0.8
    arms: int = 2

    def units(self) -> int:
        """Shoppers over all arms."""
        return self.arms * ceil(proportion_sample_size(self.base, self.base * (1 + self.lift), power=self.power))


def parse_power(args: Mapping[str, str], base: float) -> PowerQuestion:
    """The calculator's fields in percent; what is missing or unreadable takes its default.

    Raises:
        InvalidInput: the rates do not fit together.

    """
    question = PowerQuestion(
        base=_share(args.get("base_percent"), base),
        lift=_share(args.get("lift_percent"), 0.1),
        power=_share(args.get("power_percent"), 0.8),
    )
    if not (0 < question.base < 1 and question.lift > 0 and question.base * (1 + question.lift) < 1):
        raise InvalidInput({"base_percent": ["The base rate and the risen rate must lie between 0 and 100 %."]})
    if not 0.5 <= question.power <= 0.99:
        raise InvalidInput({"power_percent": ["A power between 50 and 99 %."]})
    return question


def parse_plan(form: Mapping[str, str], secondary: list[str], currency: str) -> ExperimentPlan:
    """The plan as typed, amounts in major units of `currency`; the service checks that it makes sense.

    Raises:
        InvalidInput: a number is none; names every field.

    """
    problems: Problems = {}
    is_aa = form.get("is_aa") == "on"
    treatments = [n for n in TREATMENTS if form.get(f"name_{n}", "").strip()]
    weight = 1 / (1 + len(treatments)) if treatments else 1.0
    arms = [Variant("control", weight)]
    for n in treatments:
        changes = {} if is_aa else _changes(form, n, problems)
        arms.append(Variant(form[f"name_{n}"].strip(), weight, changes))
        if not changes and not is_aa:
            problems[f"name_{n}"] = ["Say what this variant changes."]
    plan = ExperimentPlan(
        key=form.get("key", "").strip(),
        hypothesis=form.get("hypothesis", "").strip(),
        decision_rule=form.get("decision_rule", "").strip(),
        slot=form.get("slot", ""),
        variants=arms,
        primary_metric=form.get("primary_metric", ""),
        secondary_metrics=[name for name in secondary if name != form.get("primary_metric")],
        guardrails=_guardrails(form, problems),
        planned_units=int(_number(form, "planned_units", problems) or 0),
        traffic=(_number(form, "traffic_percent", problems) or 0) / 100,
        revenue_cap_minor=_revenue_cap(form.get("revenue_cap", ""), currency, problems),
        is_aa=is_aa,
        is_interleaved=form.get("is_interleaved") == "on",
        layer=form.get("layer", "").strip(),
        target=Target(
            tuple(device for device in DEVICES if form.get(f"on_{device}") == "on"),
            form.get("people", "") if form.get("people") in PEOPLE else "",
        ),
    )
    if not plan.hypothesis:
        problems["hypothesis"] = ["Say what you expect and why."]
    if problems:
        raise InvalidInput(problems)
    return plan


def _changes(form: Mapping[str, str], n: int, problems: Problems) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if title := " ".join(form.get(f"title_{n}", "").split()):
        changes["title"] = title[:MAX_TITLE_CHARS]
    for name, least in (("k", 1), ("brand_cap", 0), ("category_cap", 0)):
        text = form.get(f"{name}_{n}", "").strip()
        if not text:
            continue
        if text.isascii() and text.isdigit() and least <= int(text) <= MAX_K:
            changes[name] = int(text)
        else:
            problems[f"{name}_{n}"] = [f"A whole number from {least} to {MAX_K}."]
    engine = _engine_changes(form, n, problems)
    if engine:
        changes[ENGINE] = engine
    if form.get(f"is_off_{n}") == "on":
        changes["is_on"] = False
    return changes


def _engine_changes(form: Mapping[str, str], n: int, problems: Problems) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, (low, high) in ENGINE_KNOBS.items():
        text = form.get(f"{name}_{n}", "").strip()
        if not text:
            continue
        if _NUMBER.fullmatch(text) and low <= float(text) <= high:
            found[name] = float(text)
        else:
            problems[f"{name}_{n}"] = [f"A number from {low:g} to {high:g}."]
    return found


def _guardrails(form: Mapping[str, str], problems: Problems) -> list[Guardrail]:
    found = []
    for name in METRICS:
        margin = _number(form, f"margin_{name}", problems, is_needed=False)
        if margin is not None:
            found.append(Guardrail(name, METRICS[name].direction, margin / 100))
    return found


def _number(form: Mapping[str, str], field: str, problems: Problems, *, is_needed: bool = True) -> float | None:
    text = form.get(field, "").strip()
    if not text and not is_needed:
        return None
    if not _NUMBER.fullmatch(text):
        problems[field] = ["A number, please."]
        return None
    return float(text)


def _revenue_cap(text: str, currency: str, problems: Problems) -> int:
    if not text.strip():
        return 0
    with suppress(InvalidInput):
        if 0 <= (minor := parse_money(text, currency).minor) <= MAX_CAP_MINOR:
            return minor
    problems["revenue_cap"] = ["An amount such as 120.00."]
    return 0


def _share(text: str | None, default: float) -> float:
    return float(text) / 100 if text and _NUMBER.fullmatch(text.strip()) else default
