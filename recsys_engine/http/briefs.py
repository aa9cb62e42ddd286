"""``/v1/explain/llm``: what happened to one thing in a window, as facts and as text made from them by rule.

No language model is attached: the text is the deterministic fallback of the contract and says so (``llm_disabled``).
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from marshmallow import fields

from recsys_engine.contract import answers
from recsys_engine.contract.control import AuditedDecision, AuditQuery
from recsys_engine.contract.control_schemas import control_json
from recsys_engine.contract.encoding import moment_text
from recsys_engine.contract.entities import EventType
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.parsing import parse_moment
from recsys_engine.contract.requests import PageQuery
from recsys_engine.contract.schemas import NamespacedSchema
from recsys_engine.http.routes import Call, Reply
from recsys_engine.service import Engine

KEPT_FOR = timedelta(minutes=30)
MOST_KEPT = 256
MOST_DECISIONS = 500
REQUIRED = ("target_type", "target_id", "namespace", "surface")

Kept = OrderedDict[tuple[str, ...], tuple[datetime, dict[str, Any]]]
_kept: WeakKeyDictionary[Engine, Kept] = WeakKeyDictionary()


class BriefSchema(NamespacedSchema):
    """What to tell about: a target, a surface and a window."""

    target_type = fields.String(required=True)
    target_id = fields.String(required=True)
    surface = fields.String(required=True)
    segment_id = fields.String(allow_none=True)
    from_ = fields.String(required=True, data_key="from", metadata={"format": "date-time"})
    to = fields.String(required=True, metadata={"format": "date-time"})
    question = fields.String(allow_none=True)


def explain(call: Call) -> Reply[Annotated[dict[str, Any], answers.Brief]]:
    """A brief; the same question within half an hour gets the same answer from memory."""
    body = _checked(call.body)
    engine = call.engine()
    kept = _kept.setdefault(engine, OrderedDict())
    key = tuple(str(body.get(name)) for name in (*REQUIRED, "segment_id", "from", "to"))
    now = engine.now()
    if key in kept and now - kept[key][0] < KEPT_FOR:
        return Reply({**kept[key][1], "cache": "hit"}, {"X-Explain-Cache": "hit"})
    facts = _facts(engine, body)
    brief = {"markdown": _markdown(facts), "facts": facts, "model": "fallback", "warnings": ["llm_disabled"]}
    kept[key] = (now, brief)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return Reply({**brief, "cache": "miss"}, {"X-Explain-Cache": "miss"})


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    for name in REQUIRED:
        if not isinstance(body.get(name), str) or not body[name]:
            raise ContractError("invalid_request", f"{name} is required", {"field": name})
    for name in ("segment_id", "question"):
        if not isinstance(body.get(name), str | None):
            raise ContractError("invalid_request", f"{name} must be text", {"field": name})
    start = parse_moment(body.get("from"), "invalid_from", "from")
    end = parse_moment(body.get("to"), "invalid_to", "to")
    for name, moment in (("from", start), ("to", end)):
        if moment is None:
            raise ContractError(f"invalid_{name}", f"{name} is required", {"field": name})
    assert start is not None
    assert end is not None
    if end <= start:
        raise ContractError("invalid_range", "to must lie after from", {"field": "to"})
    return {**body, "from": start, "to": end}


def _facts(engine: Engine, body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = AuditQuery(body["from"], body["to"], surface=body["surface"], limit=MOST_DECISIONS)
    is_item = body["target_type"] == "item"
    lists = [one for one in engine.decisions.find(wanted) if not is_item or _holds(one, body["target_id"])]
    clicks = _clicks(engine, body, body["target_id"] if is_item else None)
    rules = [rule for rule in engine.control.rules() if rule.enabled and rule.surface == body["surface"]]
    return {
        "target": {"type": body["target_type"], "id": body["target_id"]},
        "window": {"from": moment_text(body["from"]), "to": moment_text(body["to"])},
        "context": {name: body.get(name) for name in ("namespace", "surface", "segment_id")},
        "metrics": {
            "impressions": len(lists),
            "clicks": clicks,
            "ctr": clicks / len(lists) if lists else None,
            "errors": None,  # a list that failed leaves no decision: nothing here counts them
        },
        "rules_active": [control_json(rule) for rule in rules],
        "audit": [{"decision_id": one.decision_id, "ts": moment_text(one.ts)} for one in lists[:5]],
        "links": {"decisions": f"/v1/audit/decisions?namespace={body['namespace']}"},
    }


def _holds(decision: AuditedDecision, item_id: str) -> bool:
    return any(item["item_id"] == item_id for item in decision.final_items)


def _clicks(engine: Engine, body: Mapping[str, Any], item_id: str | None) -> int:
    window = PageQuery(
        limit=1,
        item_id=item_id,
        event_type=int(EventType.CLICK),
        created_after=body["from"],
        created_before=body["to"],
    )
    return engine.archive.list_events(window).total


def _markdown(facts: Mapping[str, Any]) -> str:
    metrics, target, window = facts["metrics"], facts["target"], facts["window"]
    ctr = "no lists, so no rate" if metrics["ctr"] is None else f"{metrics['ctr']:.1%} of them"
    rules = ", ".join(rule["name"] for rule in facts["rules_active"]) or "none"
    return "\n".join(
        [
            f"### {target['type']} {target['id']} on {facts['context']['surface']}",
            f"From {window['from']} to {window['to']}:",
            f"- shown in {metrics['impressions']} lists (of the last {MOST_DECISIONS})",
            f"- clicked {metrics['clicks']} times ({ctr})",
            f"- rules in force: {rules}",
        ]
    )
