"""Reading what a widget's address says."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from shop_app.core.errors import InvalidInput
from shop_app.widgets.registry import Needs

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

MOST_TAGS = 10
MOST_ELSEWHERE = 60
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
MOST_SHOWN = 24
"""Items a form may say its list showed: as many as the longest list, on a page of its own, has."""
MAX_PRICE = 1e9
MOST_ITEM, MOST_CATEGORY = 100, 300
"""Characters."""


def read_request_id(text: str) -> str:
    """The recommender's answer a form speaks of; empty for none, and for what cannot be one."""
    return text if REQUEST_ID.fullmatch(text) else ""


def read_shown(text: str) -> list[str]:
    """The item ids a form says its list showed, in their order, each once; whether they exist is not known yet."""
    ids = dict.fromkeys(word for word in text.split() if len(word) <= MOST_ITEM)
    return list(islice(ids, MOST_SHOWN))


class _NeedsSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    item = fields.String(load_default="", validate=validate.Length(max=MOST_ITEM))
    category = fields.String(load_default="", validate=validate.Length(max=MOST_CATEGORY))
    low = fields.Float(data_key="min", load_default=None, validate=validate.Range(0, MAX_PRICE))
    high = fields.Float(data_key="max", load_default=None, validate=validate.Range(0, MAX_PRICE))
    include_tags = fields.List(
        fields.String(validate=validate.Length(1, 200)),
        data_key="include",
        load_default=list,
        validate=validate.Length(max=MOST_TAGS),
    )
    exclude_tags = fields.List(
        fields.String(validate=validate.Length(1, 200)),
        data_key="exclude",
        load_default=list,
        validate=validate.Length(max=MOST_TAGS),
    )
    elsewhere = fields.List(
        fields.String(validate=validate.Length(1, MOST_ITEM)),
        data_key="shown",
        load_default=list,
        validate=validate.Length(max=MOST_ELSEWHERE),
    )

    @post_load
    def _build(self, data: dict[str, object], **_: object) -> Needs:
        return Needs(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})  # type: ignore[arg-type]


_SCHEMA = _NeedsSchema()
_LISTS = ("include", "exclude", "shown")
_PLAIN = frozenset({"item", "category", "shown"})


def read_needs(args: "MultiDict[str, str]") -> Needs:
    """The needs in an address; empty fields count as absent.

    Raises:
        InvalidInput: a value breaks a rule; names the field.

    """
    return _read_plain(args) or _read_by_schema(args)


def _read_plain(args: "MultiDict[str, str]") -> Needs | None:
    """What most addresses say: a product, a department and what is shown elsewhere. None for the schema to judge."""
    if not set(args) <= _PLAIN:
        return None
    item, category = (args.get(name, "").strip() for name in ("item", "category"))
    elsewhere = _filled(args.getlist("shown"))
    is_short = len(item) <= MOST_ITEM and len(category) <= MOST_CATEGORY and len(elsewhere) <= MOST_ELSEWHERE
    if not is_short or any(len(value) > MOST_ITEM for value in elsewhere):
        return None
    return Needs(item=item, category=category, elsewhere=tuple(elsewhere))


def _read_by_schema(args: "MultiDict[str, str]") -> Needs:
    given = {name: args[name].strip() for name in args if name not in _LISTS and args[name].strip()}
    tags = {name: _filled(args.getlist(name)) for name in _LISTS if name in args}
    try:
        needs: Needs = _SCHEMA.load({**given, **tags})
    except ValidationError as error:
        found = error.messages if isinstance(error.messages, dict) else {"query": error.messages}
        raise InvalidInput({str(name): [str(text)] for name, text in found.items()}) from error
    return needs


def _filled(values: Iterable[str]) -> list[str]:
    return [value.strip() for value in values if value.strip()]
