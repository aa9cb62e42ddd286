"""Reading what a widget's address says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from shop_app.core.errors import InvalidInput

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

MOST_TAGS = 10
MAX_PRICE = 1e9


@dataclass(frozen=True, slots=True)
class Needs:
    """What a list should know beyond the shopper: product in view, department, price range in major units, tags."""

    item: str = ""
    category: str = ""
    low: float | None = None
    high: float | None = None
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()

    @property
    def is_steered(self) -> bool:
        """The shopper asked for less than everything."""
        return bool(self.low is not None or self.high is not None or self.include_tags or self.exclude_tags)

    @property
    def plain_min(self) -> str:
        """The lower price as its field shows it."""
        return "" if self.low is None else f"{self.low:g}"

    @property
    def plain_max(self) -> str:
        """The upper price as its field shows it."""
        return "" if self.high is None else f"{self.high:g}"


class _NeedsSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    item = fields.String(load_default="", validate=validate.Length(max=100))
    category = fields.String(load_default="", validate=validate.Length(max=300))
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

    @post_load
    def _build(self, data: dict[str, object], **_: object) -> Needs:
        return Needs(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})  # type: ignore[arg-type]


_SCHEMA = _NeedsSchema()
_LISTS = ("include", "exclude")


def read_needs(args: "MultiDict[str, str]") -> Needs:
    """The needs in an address; empty fields count as absent.

    Raises:
        InvalidInput: a value breaks a rule; names the field.

    """
    if not args:
        return Needs()
    given = {name: args[name].strip() for name in args if name not in _LISTS and args[name].strip()}
    tags = {name: _filled(args.getlist(name)) for name in _LISTS if name in args}
    try:
        needs: Needs = _SCHEMA.load({**given, **tags})
    except ValidationError as error:
        raise InvalidInput({name: [str(text)] for name, text in error.normalized_messages().items()}) from error
    return needs


def _filled(values: Iterable[str]) -> list[str]:
    return [value.strip() for value in values if value.strip()]
