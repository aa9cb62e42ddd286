"""The ranking knobs that people may turn, and reading what they typed about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys_engine.contract.control_schemas import KNOB_RANGES

WHOLE = frozenset({"brand_cap", "category_cap", "profile_top_n", "profile_min_events_for_boost", "popularity_fanout"})
_NUMBER = re.compile(r"\d{1,5}(\.\d{1,6})?")
_YES_OR_NO = {"yes": True, "no": False}

Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting of the ranking; its inclusive range is the contract's."""

    name: str
    label: str
    hint: str

    @property
    def is_switch(self) -> bool:
        """Yes, no, or left to the layer below."""
        return KNOB_RANGES[self.name] is None

    @property
    def range_text(self) -> str:
        """`0–1`."""
        low, high = KNOB_RANGES[self.name] or (0, 0)
        return f"{low:g}–{high:g}"


KNOB_GROUPS: tuple[tuple[str, tuple[Knob, ...]], ...] = (
    (
        "Variety",
        (
            Knob("mmr_lambda", "Relevance against variety", "1 ranks by score alone; lower spreads the list out."),
            Knob("brand_cap", "Most of one brand", "0: no limit. A slot's own limit goes first."),
            Knob("category_cap", "Most of one category", "0: no limit. A slot's own limit goes first."),
        ),
    ),
    (
        "Exploration",
        (
            Knob(
                "exploration_rate", "Share of places tried out", "0.05: one place in twenty goes to a less known item."
            ),
        ),
    ),
    (
        "Blend",
        (
            Knob("blend_alpha", "Popularity", "Any of the three set: only these three signals rank, nothing learned."),
            Knob("blend_beta", "Seen together", "Weight of co-visitation."),
            Knob("blend_gamma", "Similar content", "Weight of the text embedding."),
        ),
    ),
    (
        "Taste profile",
        (
            Knob("profile_boost", "Boost by taste", "1: an item wholly to the shopper's taste counts double."),
            Knob("profile_window_days", "Days of taste", "Older events say nothing about taste."),
            Knob("profile_top_n", "Tags of a taste", "How many tags a profile keeps."),
            Knob("profile_min_events_for_boost", "Events before it counts in full", "Fewer: the boost is damped."),
            Knob("profile_cold_start_multiplier", "Damping of a young profile", "0.5: half the boost until then."),
        ),
    ),
    (
        "Candidates and rules",
        (
            Knob("popularity_fanout", "Popular candidates", "How many best sellers enter the race."),
            Knob("rule_exclude_events", "Leave out what was bought", "Not useful where people buy again."),
            Knob("purchased_window_days", "Days a purchase is remembered", "For leaving out what was bought."),
            Knob("rules_enabled", "Rules and overrides apply", "Off: merchandising rules do nothing here."),
        ),
    ),
)
KNOBS: Mapping[str, Knob] = {knob.name: knob for _, knobs in KNOB_GROUPS for knob in knobs}


def read_knobs(form: Mapping[str, str], kept: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Problems]:
    """The knobs that were set, and what is wrong with the others. An empty field leaves the choice to the layer below.

    `kept` is what is stored now: settings that the form does not show stay.
    """
    knobs = {name: value for name, value in (kept or {}).items() if name not in KNOBS and name in KNOB_RANGES}
    problems: Problems = {}
    for name, knob in KNOBS.items():
        text = form.get(name, "").strip()
        if not text:
            continue
        value = _YES_OR_NO.get(text) if knob.is_switch else _number(name, text)
        if value is None:
            problems[name] = [_complaint(knob)]
        else:
            knobs[name] = value
    return knobs, problems


def said(knobs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, value) of every knob that is set, for people; settings without a label under their own name."""
    return [(KNOBS[name].label if name in KNOBS else name, said_value(value)) for name, value in sorted(knobs.items())]


def said_value(value: Any) -> str:
    """`yes`, `0.05`, or nothing set."""
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}" if _is_number(value) else str(value)


def typed_knobs(knobs: Mapping[str, Any]) -> dict[str, str]:
    """Stored knobs as the form's fields hold them."""
    return {name: said_value(value) for name, value in knobs.items() if name in KNOBS}


def _number(name: str, text: str) -> float | int | None:
    low, high = KNOB_RANGES[name] or (0, 0)
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        return None
    if name in WHOLE:
        return int(text) if text.isdigit() else None
    return float(text)


def _complaint(knob: Knob) -> str:
    if knob.is_switch:
        return f"{knob.label}: yes or no."
    return f"{knob.label}: a {'whole ' if knob.name in WHOLE else ''}number within {knob.range_text}."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
