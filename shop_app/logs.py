"""One JSON object per log line, with personal data and secrets taken out on the way."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context, request

from shop_app.core.ids import new_token
from shop_app.core.redaction import scrub

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
MAX_TEXT = 2000


class JsonFormatter(logging.Formatter):
    """Time, level, logger, event and its fields; every text passes `scrub`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; what JSON cannot say is said as text."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if has_request_context():
            line["request"] = _request_id()
            line["endpoint"] = request.endpoint
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(_scrubbed(line), default=lambda value: scrub(str(value)), ensure_ascii=False)


def set_up_logging(level: str) -> None:
    """Send every record of this process to stderr as JSON; chatty libraries speak from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("werkzeug", "rq.worker", "urllib3", "alembic.runtime.migration"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _request_id() -> str:
    """Names the request in every line it causes."""
    if "request_id" not in g:
        g.request_id = new_token(12)
    return str(g.request_id)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value[:MAX_TEXT] if "\n" not in value else value)
    if isinstance(value, dict):
        return {str(name): _scrubbed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(inner) for inner in value]
    return value
