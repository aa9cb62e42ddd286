"""What schemathesis meets at the engine: a stocked shop, and a document that leads it there."""

from typing import Any

from werkzeug.test import Client

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0002"
NAMESPACE = "fuzz"
LAST = (":delete", ":forget", "/cancel")
"""Operations that take away what the others are to find; they come at the end."""
ANSWERS = ("responses", "components")
"""The parts of a document that speak of answers."""


def stocked(client: Client) -> dict[str, str]:
    """Put a little of everything into the namespace; returns an id for each parameter of a path."""

    def post(path: str, **body: Any) -> Any:
        answer = client.post(path, json={"namespace": NAMESPACE, **body}, headers={"X-Org-ID": ORG})
        if answer.status_code >= 400:
            raise RuntimeError(f"{path}: {answer.text}")
        return answer.get_json()

    items = [
        {"item_id": f"p{n}", "price": n, "tags": [f"brand:b{n % 3}", "category:c"], "props": {"title": f"Mug {n}"}}
        for n in range(20)
    ]
    events = [
        {"user_id": f"u{n % 4}", "item_id": f"p{n % 7}", "type": n % 4, "source_event_id": f"e{n}", "meta": {"n": n}}
        for n in range(60)
    ]
    rule = {"surface": "default", "name": "r", "action": "PIN", "target_type": "ITEM", "item_ids": ["p3"]}
    post("/v1/items:upsert", items=items)
    post("/v1/users:upsert", users=[{"user_id": f"u{n}", "traits": {"segment": "vip"}} for n in range(4)])
    post("/v1/events:batch", events=events)
    post("/v1/segment-profiles:upsert", profiles=[{"profile_id": "vip", "mmr_lambda": 0.5, "description": "d"}])
    in_segment = [{"rule": {"eq": ["user.traits.segment", "vip"]}}]
    segment = {"segment_id": "s", "name": "s", "profile_id": "vip", "active": True, "rules": in_segment}
    post("/v1/segments:upsert", segment=segment)
    post("/v1/bandit/policies:upsert", policies=[{"policy_id": "a", "active": True, "blend_alpha": 1, "notes": "n"}])
    post("/v1/admin/recommendation/config", config={"mmr_lambda": 0.3, "surface_profiles": {"home": {"brand_cap": 2}}})
    post("/v1/recommendations", user_id="u1", k=5)
    override = {"item_id": "p5", "action": "boost", "boost_value": 2, "notes": "n"}
    return {
        "item_id": "p1",
        "rule_id": post("/v1/admin/rules", **rule)["rule_id"],
        "override_id": post("/v1/admin/manual_overrides", **override)["override_id"],
        "decision_id": post("/v1/audit/search")["decisions"][0]["decision_id"],
    }


def fuzzed_document(document: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """The document with tenant, namespace and ids of requests fixed, so that calls meet each other's rows."""
    paths = sorted(document["paths"], key=lambda path: path.endswith(LAST))
    ordered = {**document, "paths": {path: document["paths"][path] for path in paths}}
    fixed: dict[str, Any] = _fixed(ordered, {name: [value, "none"] for name, value in ids.items()})
    return fixed


def _fixed(node: Any, values: dict[str, list[str]]) -> Any:
    if isinstance(node, list):
        return [_fixed(one, values) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("in") == "path" and node["name"] in values:
        return {**node, "schema": {"type": "string", "enum": values[node["name"]]}}
    if node.get("in") == "query" and node["name"] == "namespace":
        return {**node, "schema": _ONE_NAMESPACE}
    if node.get("in") == "header" and node["name"] == "X-Org-ID":
        return {**node, "schema": {"type": "string", "enum": [ORG]}}
    return {
        name: _ONE_NAMESPACE if name == "namespace" else value if name in ANSWERS else _fixed(value, values)
        for name, value in node.items()
    }


_ONE_NAMESPACE = {"type": "string", "enum": [NAMESPACE]}
