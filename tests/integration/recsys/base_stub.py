"""A recommender that behaves as the base API is described, traps and defects included. Keeps rows in memory."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]
INTEGERS = ("popularity_halflife_days", "covis_window_days", "popularity_fanout", "brand_cap", "category_cap",
            "purchased_window_days", "profile_window_days", "profile_top_n")  # fmt: skip
SCALARS = ("brand", "category", "description", "image_url", "metadata_version")
STAMP = "2025-11-16T10:00:00Z"


def refusal(status: int, code: str, **details: Any) -> Answer:
    return status, {"error": code, "message": code, "details": details, "timestamp": STAMP}


INTERNAL = refusal(500, "internal")


@dataclass
class BaseServer:
    """The rows of one namespace and everything that was asked."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=lambda: {"brand_cap": 2})

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        routes: dict[str, Callable[[], Answer]] = {
            "POST /v1/items:upsert": lambda: self._put_items(body),
            "POST /v1/users:upsert": lambda: self._put_users(body),
            "POST /v1/events:batch": lambda: self._put_events(body),
            "GET /v1/items": lambda: self._page([_item_row(one) for one in self.items.values()], query),
            "GET /v1/users": lambda: self._page([_user_row(one) for one in self.users.values()], query),
            "GET /v1/events": lambda: self._page([_event_row(one) for one in self.events], query),
            "POST /v1/items:delete": lambda: self._delete_from(self.items, "item_id", body),
            "POST /v1/users:delete": lambda: self._delete_from(self.users, "user_id", body),
            "POST /v1/events:delete": lambda: self._delete_events(body),
            "POST /v1/recommendations": lambda: self._list(body),
            "GET /v1/event-types": lambda: (200, self._types()),
            "GET /v1/audit/decisions/nobody": lambda: INTERNAL,
            "POST /v1/audit/search": lambda: (200, {"decisions": [
                {"decision_id": "d1", "namespace": "shop", "ts": STAMP, "final_items": None}]}),
            "POST /v1/admin/manual_overrides": lambda: INTERNAL,
            "GET /v1/admin/recommendation/config": lambda: (200, {
                "namespace": "default", "config": self.config, "metadata": {"updated_at": STAMP, "source": "env"}}),
            "GET /health": lambda: (200, {"status": "ok"}),
        }  # fmt: skip
        if f"{method} {path}" in routes:
            return routes[f"{method} {path}"]()
        if re.fullmatch(r"/v1/items/[^/]+/similar", path):
            return 200, [{"item_id": "", "score": 9, "reasons": ["co_visitation"]},
                         {"item_id": "OFF", "score": 3, "reasons": ["co_visitation"]}]  # fmt: skip
        return 404, b"404 page not found\n"

    def _put_items(self, body: Any) -> Answer:
        for index, item in enumerate(body.get("items") or []):
            if item.get("embedding") and len(item["embedding"]) != 384:
                return refusal(400, "embedding_dim_mismatch", index=index, got=len(item["embedding"]))
        for item in body.get("items") or []:
            old = self.items.get(item.get("item_id", ""), {})
            row = {"item_id": item.get("item_id", ""), "available": item.get("available", False)}
            row |= {"tags": item.get("tags") or [], "props": item.get("props") or {}}
            row |= {"category_path": item.get("category_path") or []}
            row |= {name: old.get(name) if item.get(name) is None else item[name] for name in (*SCALARS, "price")}
            self.items[row["item_id"]] = row
        return 202, {"status": "accepted"}

    def _put_users(self, body: Any) -> Answer:
        for user in body.get("users") or []:
            self.users[user["user_id"]] = {"user_id": user["user_id"], "traits": user.get("traits") or {}}
        return 202, {"status": "accepted"}

    def _put_events(self, body: Any) -> Answer:
        events = body.get("events") or []
        for index, event in enumerate(events):
            try:
                datetime.fromisoformat(event.get("ts") or STAMP)
            except ValueError:
                return refusal(400, "invalid_timestamp", index=index, value=event["ts"])
            if event.get("meta", {}).get("poison"):
                return refusal(400, "invalid_json_type", index=index, field="meta", expected="object")
        known = {event["source_event_id"] for event in self.events if event["source_event_id"]}
        for event in events:
            source = event.get("source_event_id")
            if source not in known:
                known |= {source} if source else set()
                row = {"user_id": event.get("user_id", ""), "item_id": event.get("item_id", ""), "type": event["type"]}
                row |= {"value": event.get("value", 0), "ts": event.get("ts") or STAMP, "meta": event.get("meta") or {}}
                self.events.append({**row, "source_event_id": source})
        return 202, {"status": "accepted"}

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        for name in ("user_id", "item_id"):
            rows = [row for row in rows if not query.get(name) or row.get(name) == query[name]]
        limit = int(query["limit"]) if query.get("limit", "").isdigit() and 1 <= int(query["limit"]) <= 1000 else 100
        offset = int(query.get("offset") or 0)
        page = {"items": rows[offset : offset + limit], "total": len(rows), "limit": limit, "offset": offset}
        has_more = offset + limit < len(rows)
        return 200, {**page, "has_more": has_more, **({"next_offset": offset + limit} if has_more else {})}

    def _delete_from(self, rows: dict[str, Any], key: str, body: Any) -> Answer:
        doomed = [name for name in rows if not body.get(key) or name == body[key]]
        for name in doomed:
            del rows[name]
        return 200, {"deleted_count": len(doomed), "message": "deleted successfully"}

    def _delete_events(self, body: Any) -> Answer:
        wanted = {name: body[name] for name in ("user_id", "item_id") if body.get(name)}
        kept = [e for e in self.events if any(e[name] != value for name, value in wanted.items())]
        count, self.events = len(self.events) - len(kept), kept
        return 200, {"deleted_count": count, "message": "Events deleted successfully"}

    def _list(self, body: Any) -> Answer:
        for name in INTEGERS:
            value = body.get("overrides", {}).get(name)
            if value is not None and not isinstance(value, int):
                return refusal(400, "invalid_json_type", field=f"overrides.{name}", expected="int")
        constraints = body.get("constraints") or {}
        between = constraints.get("price_between") or []
        low, high = [*(end or 0 for end in between), *[None] * (2 - len(between))]
        shown = []
        for row in self.items.values():
            score = sum(event["value"] for event in self.events if event["item_id"] == row["item_id"])
            is_priced = not between or (row["price"] is not None and low <= row["price"]
                                        and (high is None or row["price"] <= high))  # fmt: skip
            if (
                row["available"]
                and score
                and is_priced
                and row["item_id"] not in constraints.get("exclude_item_ids", [])
            ):
                shown.append({"item_id": row["item_id"], "score": score})
        ordered = sorted(shown, key=lambda one: -one["score"])[: body.get("k") or 20]
        return 200, {"model_version": "popularity_v1", "items": ordered, "trace": {"extras": {}}}

    def _types(self) -> list[dict[str, Any]]:
        weights = {0: 0.1, 1: 0.3, 2: 0.7, 3: 1.0, 4: 0.2}
        default = [
            {"type": t, "name": "n", "weight": w, "is_active": True, "source": "default"} for t, w in weights.items()
        ]
        return [*default, {"type": 3, "weight": 9.0, "is_active": True, "source": "tenant"}]


def _item_row(row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if name not in SCALARS or value}
    return {**plain, "props": json.dumps(row["props"]), "category_path": row["category_path"] or None, **_stamps()}


def _user_row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "traits": json.dumps(row["traits"]), **_stamps()}


def _event_row(row: dict[str, Any]) -> dict[str, Any]:
    whole_seconds = datetime.fromisoformat(row["ts"]).astimezone(UTC).replace(microsecond=0)
    return {**row, "meta": json.dumps(row["meta"]), "ts": whole_seconds.isoformat().replace("+00:00", "Z")}


def _stamps() -> dict[str, str]:
    return {"created_at": STAMP, "updated_at": STAMP}


@contextmanager
def started(server: BaseServer) -> Iterator[str]:
    """The server on a socket; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            address = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(address.query).items()}
            body = json.loads(raw) if raw else None
            path = unquote(address.path)
            server.seen.append((self.command, path, body, dict(self.headers)))
            has_tenant = "X-Org-ID" in self.headers or path == "/health"
            status, reply = (
                server.answer(self.command, path, query, body) if has_tenant else refusal(400, "missing_org_id")
            )
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\n"
            is_json = path != "/v1/event-types" and not isinstance(reply, bytes)
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if is_json else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  (the names http.server calls)

        def log_message(self, *_: Any) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()
