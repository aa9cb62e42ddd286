"""What the server answers, verb by verb: the return types of the route handlers, and so the answers of the document.

A dataclass stands for its ``control_json``: a field that may be None is left out when it is. In a ``TypedDict`` a field
that may be left out says so, and None is null. Every object is closed, but for free JSON (``Json``).
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from recsys_engine.contract import control
from recsys_engine.contract.control_schemas import KNOB_RANGES
from recsys_engine.contract.entities import EventTypeConfig
from recsys_engine.contract.explanations import Explanation, Trace
from recsys_engine.contract.responses import DeleteResult, EventRejection, ForgetResult

Json = dict[str, Any]
Moment = Annotated[str, {"format": "date-time"}]


def knob_schemas() -> dict[str, Any]:
    """JSON Schema of every ranking knob."""
    return {
        name: {"type": "boolean"} if bounds is None else {"type": "number", "minimum": bounds[0], "maximum": bounds[1]}
        for name, bounds in KNOB_RANGES.items()
    }


_KNOBS = {"type": "object", "properties": knob_schemas(), "additionalProperties": False}
Config = Annotated[
    Json,
    {
        **_KNOBS,
        "properties": {**knob_schemas(), "surface_profiles": {"type": "object", "additionalProperties": _KNOBS}},
    },
]


class Refusal(TypedDict):
    """Why a call was refused or failed. ``error`` is for machines, ``message`` for people."""

    error: str
    message: str
    details: NotRequired[Json]
    correlation_id: str
    timestamp: Moment


class Healthy(TypedDict):
    status: Literal["ok"]


class Readiness(TypedDict):
    """``failing`` names the parts at fault."""

    status: Literal["ok", "degraded"]
    failing: list[str]
    details: Json


class Version(TypedDict):
    git_commit: str
    build_time: str
    model_version: str


class Accepted(TypedDict):
    status: Literal["accepted"]


class Done(TypedDict):
    status: Literal["ok"]


class EventsVerdict(TypedDict):
    """accepted + duplicates + rejected = sent."""

    status: Literal["accepted"]
    accepted: int
    duplicates: int
    rejected: list[Annotated[Json, EventRejection]]


class _Page(TypedDict):
    total: int
    limit: int
    offset: int
    has_more: bool
    next_offset: NotRequired[int]
    next_cursor: NotRequired[str]


class ItemRow(TypedDict):
    """An item as stored; texts never set stay away."""

    item_id: str
    available: bool
    price: float | None
    tags: list[str]
    props: Json
    category_path: list[str]
    brand: NotRequired[str]
    category: NotRequired[str]
    description: NotRequired[str]
    image_url: NotRequired[str]
    metadata_version: NotRequired[str]
    created_at: Moment
    updated_at: Moment


class UserRow(TypedDict):
    user_id: str
    traits: Json
    created_at: Moment
    updated_at: Moment


class EventRow(TypedDict):
    user_id: str
    item_id: str
    type: int
    value: float
    ts: Moment
    meta: Json
    source_event_id: str | None


class ItemsPage(_Page):
    items: list[ItemRow]


class UsersPage(_Page):
    items: list[UserRow]


class EventsPage(_Page):
    items: list[EventRow]


class ListedItem(TypedDict):
    """One place of a list. ``reasons`` and ``explain`` only when asked for."""

    item_id: str
    score: float
    rank: int
    reasons: NotRequired[list[str]]
    explain: NotRequired[Explanation]


class _List(TypedDict):
    request_id: str
    model_version: str
    items: list[ListedItem]
    segment_id: NotRequired[str]
    profile_id: NotRequired[str]


class RankedList(_List):
    trace: NotRequired[Trace]


class BanditList(_List):
    """A list by the policy that the bandit drew, without a trace."""

    decision_id: str
    chosen_policy_id: str
    algorithm: str
    bandit_bucket: str
    explore: bool
    propensity: float
    bandit_explain: "BestSoFar"
    bandit_experiment: str | None
    bandit_variant: str | None


class BestSoFar(TypedDict):
    emp_best: str


class ChoiceExplained(BestSoFar):
    surface: str
    bucket: str


class BanditChoice(TypedDict):
    decision_id: str
    policy_id: str
    algorithm: str
    surface: str
    bucket_key: str
    propensity: float
    explore: bool
    experiment: NotRequired[str]
    variant: NotRequired[str]
    explain: ChoiceExplained


class Rewarded(Accepted):
    duplicate: bool


Rule = Annotated[Json, control.Rule]
ManualOverride = Annotated[Json, control.ManualOverride]
Policy = Annotated[Json, control.Policy]
SegmentMatch = Annotated[Json, control.SegmentMatch]
MissingVerdict = Annotated[Json, control.MissingVerdict]
EventTypes = list[Annotated[Json, EventTypeConfig]]
Deleted = Annotated[Json, DeleteResult]
Forgotten = Annotated[Json, ForgetResult]


class Rules(TypedDict):
    rules: list[Rule]


class RuleMatched(TypedDict):
    rule_id: str
    action: str
    target_type: str
    item_ids: list[str]


class RuleEffect(TypedDict):
    blocked: bool
    pinned: bool
    boost_delta: float


class PinnedItem(TypedDict):
    item_id: str
    rule_ids: list[str]
    from_candidates: bool


class RulesTried(TypedDict):
    rules_evaluated: list[str]
    rules_matched: list[RuleMatched]
    rule_effects_per_item: dict[str, RuleEffect]
    pinned_items: list[PinnedItem]


class Profiles(TypedDict):
    namespace: str
    profiles: list[Annotated[Json, control.SegmentProfile]]


class Segments(TypedDict):
    namespace: str
    segments: list[Annotated[Json, control.Segment]]


class ConfigMetadata(TypedDict):
    version: int
    source: Literal["api", "default"]
    updated_at: NotRequired[Moment]
    updated_by: NotRequired[str]
    notes: NotRequired[str]


class StoredConfig(TypedDict):
    namespace: str
    config: Config
    metadata: ConfigMetadata


class Presets(TypedDict):
    mmr_presets: dict[str, float]


class FinalItem(TypedDict):
    """A place of a stored list: how the item got it, with which odds, found by what."""

    item_id: str
    score: float
    how: str
    propensity: float
    sources: list[str]


class ServedList(TypedDict):
    decision_id: str
    request_id: str
    ts: Moment
    surface: str
    user_hash: NotRequired[str]
    final_items: list[FinalItem]


class ServedListInFull(ServedList):
    """``extras`` is what was stored with the list: its request, settings, model and place in the log."""

    k: int | None
    extras: Json


class ServedLists(TypedDict):
    decisions: list[Annotated[Json, ServedList]]


class Replayed(TypedDict):
    decision_id: str
    status: Literal["identical", "different", "impossible"]
    reason: NotRequired[str]
    message: NotRequired[str]
    items: list[FinalItem]


class BriefTarget(TypedDict):
    type: str
    id: str


BriefWindow = TypedDict("BriefWindow", {"from": Moment, "to": Moment})


class BriefContext(TypedDict):
    namespace: str
    surface: str
    segment_id: str | None


class BriefMetrics(TypedDict):
    impressions: int
    clicks: int
    ctr: float | None
    errors: int | None


class BriefDecision(TypedDict):
    decision_id: str
    ts: Moment


class BriefLinks(TypedDict):
    decisions: str


class BriefFacts(TypedDict):
    target: BriefTarget
    window: BriefWindow
    context: BriefContext
    metrics: BriefMetrics
    rules_active: list[Rule]
    audit: list[BriefDecision]
    links: BriefLinks


class Brief(TypedDict):
    markdown: str
    facts: BriefFacts
    model: str
    warnings: list[str]
    cache: Literal["hit", "miss"]
