"""Looking after the ranking: the pace of categories, guardrails and what they hold down."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection

from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import MAX_EVENT_TYPE, MAX_TEXT_CHARS
from recsys_engine.contract.operations import GuardrailSetting, RegrettedItem
from recsys_engine.service.engine import Engine
from recsys_engine.service.settings import CATEGORY_PACE, GUARDRAIL, category_pace, guardrails
from recsys_engine.signals.guardrails import Guardrails
from recsys_engine.store.documents import delete_documents, put_document
from recsys_engine.store.ingest import to_us

PACE_RANGE = (0.1, 10.0)
MOST_STRENGTH = 10.0
LISTED = 50


class Upkeep:
    """Verbs of a console or a command, none of a shopper's request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- half-lives by category ------------------------------------------------------------------------------------

    def category_pace(self) -> dict[str, float]:
        """Factor on every half-life of a category's popularity, by folded name; 1 for those not named."""
        return category_pace(self._engine.settings_now())

    def put_category_pace(self, factors: Mapping[str, float]) -> None:
        """Set the pace of categories (0.1–10; 1 takes the category off the list); every replica counts anew.

        Raises ``invalid_half_life`` naming the category.
        """
        folded = {name.strip().casefold(): factor for name, factor in factors.items()}
        for name, factor in folded.items():
            if not name or len(name) > MAX_TEXT_CHARS or not _within(factor, PACE_RANGE):
                details = {"field": name[:200], "min": PACE_RANGE[0], "max": PACE_RANGE[1]}
                raise ContractError("invalid_half_life", "the pace of a category is a factor of 0.1-10", details)
        now_us = to_us(self._engine.now())

        def change(connection: Connection, tenant: int) -> None:
            delete_documents(
                connection, tenant, CATEGORY_PACE, [name for name, factor in folded.items() if factor == 1]
            )
            for name, factor in folded.items():
                if factor != 1:
                    put_document(connection, tenant, (CATEGORY_PACE, name), {"factor": factor}, now_us)

        self._engine.change_settings(change, kind="rebuild")

    # -- guardrails ------------------------------------------------------------------------------------------------

    def guardrails(self) -> list[GuardrailSetting]:
        """All guardrails, by name."""
        return [GuardrailSetting(**asdict(rule)) for rule in guardrails(self._engine.settings_now())]

    def put_guardrail(self, setting: GuardrailSetting) -> None:
        """Store a guardrail; raises ``invalid_config`` naming the field."""
        _check_guardrail(setting)
        body: dict[str, Any] = {name: value for name, value in asdict(setting).items() if name != "name"}
        now_us = to_us(self._engine.now())

        def change(connection: Connection, tenant: int) -> None:
            put_document(connection, tenant, (GUARDRAIL, setting.name), body, now_us)

        self._engine.change_settings(change)

    def regretted_items(self, limit: int = LISTED) -> list[RegrettedItem]:
        """What the guardrails hold down now, the lowest multiplier first."""
        state = self._engine.live_state()
        shelf = state.catalog.shelf()
        found = Guardrails(state, guardrails(self._engine.settings_now())).regrets(
            round(self._engine.now().timestamp() * 1000), np.arange(shelf.size)
        )
        items = [
            RegrettedItem(shelf.ids[item], one.guardrail, one.bad, one.base, one.rate, one.multiplier)
            for item, one in found
        ]
        return sorted(items, key=lambda one: (one.multiplier, one.item_id, one.guardrail))[:limit]


def _check_guardrail(setting: GuardrailSetting) -> None:
    ranges = {
        "event_type": (0, MAX_EVENT_TYPE),
        "base_type": (0, MAX_EVENT_TYPE),
        "tolerated": (0, 1),
        "strength": (0, MOST_STRENGTH),
        "floor": (0.01, 1),
    }
    for name, bounds in ranges.items():
        if not _within(getattr(setting, name), bounds):
            details = {"field": name, "min": bounds[0], "max": bounds[1]}
            raise ContractError("invalid_config", f"{name} is out of range", details)
    if setting.event_type == setting.base_type or not 0 < len(setting.name) <= MAX_TEXT_CHARS:
        raise ContractError("invalid_config", "a guardrail has a name and compares two event types", {"field": "name"})


def _within(value: object, bounds: tuple[float, float]) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and bounds[0] <= float(value) <= bounds[1]  # type: ignore[arg-type]
