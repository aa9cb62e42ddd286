"""Filling a slot: ask the recommender within a deadline, else show what it said lately, else what sells."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineMissed
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from recsys_engine.contract import Constraints, Context, Overrides, Recommendations, RecommendRequest, ScoredItem
from recsys_engine.contract.limits import MAX_K
from shop_app.catalog.queries import ProductCard, best_sellers, cards, top_tags
from shop_app.core.shopper import Shopper
from shop_app.experiments.bandits import FLOOR
from shop_app.experiments.interleaving import Team, draft
from shop_app.recsys.gateway import RecsysError, RecsysGateway, RecsysRejected
from shop_app.site_settings.defaults import SlotSettings
from shop_app.widgets.memory import SETTLED, AnswerMemory, Pulse, Question
from shop_app.widgets.queries import category_of
from shop_app.widgets.registry import SLOTS, Anchor, Needs

log = logging.getLogger(__name__)

WAITERS = 16
"""Calls that may wait for a slow recommender at once; beyond that a call only waits for its deadline."""
SPARE = 4
"""Asked for beyond k, since an item may have sold out a moment ago."""
NARROWING = 8
"""How much longer a list of a brand is asked for when only one department of it may be shown."""
MOST_STEERING_TAGS = 8

_pool = ThreadPoolExecutor(WAITERS, thread_name_prefix="recommend")


@dataclass(frozen=True, slots=True)
class Visit:
    """What the page knows of the moment. `cart`, `recent` and `turned_away` are item ids; the latter two newest first.

    `pulse` is the newest event of a person who agreed to personalisation, if there is any, and `turned_away` what they
    said of this very list is not for them: it is in none that they get here.
    """

    cart: Sequence[str] = ()
    recent: Sequence[str] = ()
    pulse: Pulse | None = None
    turned_away: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Rival:
    """The other ranking of an interleaved list."""

    settings: SlotSettings
    knobs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Arm:
    """The experiment and variant a list is shown under; empty outside experiments. `knobs` are the recommender's.

    With a `rival` two rankings share the list (team draft): that of `knobs` and that of the rival's settings and knobs.
    """

    experiment: str = ""
    variant: str = ""
    knobs: Mapping[str, float] = field(default_factory=dict)
    rival: Rival | None = None


@dataclass(frozen=True, slots=True)
class Recommender:
    """Whom to ask and for how long, and what was answered before. `gateway` is None when there is none.

    Switched off it is neither asked nor repeated; `explores` false keeps it from trying anything out. `version` grows
    with every change of its settings, the last one at `changed_at`. With `policies` its bandit draws one an answer.
    """

    gateway: RecsysGateway | None
    memory: AnswerMemory
    deadline_s: float
    is_on: bool = True
    explores: bool = True
    version: int = 0
    changed_at: datetime | None = None
    policies: tuple[str, ...] = ()

    def is_settled(self, now: datetime) -> bool:
        """Whether a list asked for now follows the settings of `version` in every process."""
        return self.changed_at is None or now - self.changed_at >= SETTLED


@dataclass(frozen=True, slots=True)
class _Listed:
    """The recommender's list and how it was come by. `reason` as in `Widget`."""

    answer: Recommendations | None
    source: str
    reason: str = ""
    is_hit: bool = False
    policy: str = ""
    teams: Mapping[str, Team] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Widget:
    """A filled slot. `source` is model, cached, fallback or none; only a model's list carries a `request_id`.

    `cached` is an earlier list of the model, shown because it could not be asked. `reason` says why it is not a fresh
    one: late, failed, empty or off. `is_hit`: the same question was answered moments ago. `source` is none when there
    are no cards.
    """

    slot: str
    surface: str
    name: str
    dom_id: str
    title: str
    k: int
    cards: tuple[ProductCard, ...]
    source: str
    reason: str = ""
    is_hit: bool = False
    request_id: str = ""
    is_steerable: bool = False
    is_steered: bool = False
    steering: tuple[tuple[str, str], ...] = ()
    experiment: str = ""
    bucket: str = ""

    @property
    def state(self) -> str:
        """ready, fallback or empty: what tests and styles go by."""
        return {"none": "empty", "model": "ready"}.get(self.source, "fallback")


def fill(
    settings: SlotSettings,
    shopper: Shopper,
    visit: Visit,
    needs: Needs,
    recommender: Recommender,
    *,
    now: datetime,
    arm: Arm,
    again: Recommendations | None = None,
) -> Widget:
    """The list of a slot for this shopper, in the recommender's order, without what is not for sale; or `again`, an
    answer that this shopper had here before.

    Never raises for the recommender's sake. Without a list in time it is the last good one for this person and place
    (for anybody, when there is none), else the best sellers (of the department, when there is one), else nothing when
    the slot has no fallback. A steered list is never replaced by one that ignores the shopper's wishes.
    """
    slot = SLOTS[settings.slot]
    question = replace(
        _question(settings, shopper, visit, needs, arm),
        explores=recommender.explores,
        engine_version=recommender.version,
    )
    request = _turned(request_for(settings, shopper, visit, needs, explores=recommender.explores), arm.knobs)
    rival = None
    if arm.rival is not None:
        other = request_for(arm.rival.settings, shopper, visit, needs, explores=recommender.explores)
        rival = _turned(other, arm.rival.knobs)
    if again and rival is None and settings.is_on and recommender.is_on:
        listed = _Listed(again, "model", is_hit=True)
    else:
        listed = _listed(question, request, recommender, now, rival)
    shown = cards(_wanted_ids(listed, request), needs.category)[: settings.k]
    if listed.answer and shown and listed.source == "model" and not (listed.is_hit or needs.is_steered):
        is_settled = recommender.is_settled(now) and (visit.pulse is None or visit.pulse.is_settled(now))
        is_settled = is_settled and not (recommender.policies or listed.teams)
        recommender.memory.keep(question, listed.answer, now, may_repeat=is_settled)
    stands_in = not shown and settings.is_on and settings.has_fallback and not needs.is_steered
    if stands_in:
        shown = _stand_in(settings.k, visit, needs, now.date())
    is_models = bool(shown) and not stands_in and listed.source == "model"
    bucket = listed.policy if is_models and listed.policy else arm.variant
    if listed.teams and is_models:
        bucket = "".join(listed.teams[card.sku] for card in shown)
    return Widget(
        slot=slot.name,
        surface=slot.surface,
        name=slot.widget,
        dom_id=slot.dom_id,
        title=settings.title,
        k=settings.k,
        cards=tuple(shown),
        source=("fallback" if stands_in else listed.source) if shown else "none",
        reason=listed.reason or ("" if shown and not stands_in else "empty"),
        is_hit=listed.is_hit and is_models,
        request_id=listed.answer.request_id if listed.answer and is_models else "",
        is_steerable=slot.is_steerable,
        is_steered=needs.is_steered,
        steering=tuple(top_tags(needs.category, limit=MOST_STEERING_TAGS)) if slot.is_steerable else (),
        experiment=arm.experiment if bucket else "",
        bucket=bucket,
    )


def _question(settings: SlotSettings, shopper: Shopper, visit: Visit, needs: Needs, arm: Arm) -> Question:
    is_known = shopper.consent.personalisation
    return Question(
        settings=settings,
        experiment=arm.experiment,
        arm=arm.variant,
        person=shopper.recsys_user_id,
        session=shopper.session_id if is_known else "",
        needs=needs,
        cart=tuple(visit.cart),
        recent=tuple(visit.recent) if is_known else (),
        newest_event=visit.pulse.event_id if visit.pulse else 0,
        turned_away=tuple(visit.turned_away),
    )


def _turned(request: RecommendRequest, knobs: Mapping[str, float]) -> RecommendRequest:
    """The question with some of the recommender's own settings."""
    given: dict[str, Any] = dict(knobs)
    return replace(request, overrides=replace(request.overrides, **given)) if given else request


def _listed(
    question: Question,
    request: RecommendRequest,
    recommender: Recommender,
    now: datetime,
    rival: RecommendRequest | None = None,
) -> _Listed:
    """The answer of moments ago, else a fresh one, else the last good one; with a rival, both rankings in one list."""
    if not (question.settings.is_on and recommender.is_on):
        return _Listed(None, "none", "off")
    is_own = question.needs.is_steered or bool(recommender.policies) or rival is not None
    repeated = None if is_own else recommender.memory.repeat(question, now)
    if repeated:
        return _Listed(repeated, "model", is_hit=True)
    answer, policy, trouble = _ask(recommender, request)
    if answer and rival is not None:
        other, _, trouble = _ask(recommender, rival)
        if other:
            return _drafted(answer, other)
    if answer:
        return _Listed(answer, "model", policy=policy)
    older = None if question.needs.is_steered else recommender.memory.last_good(question, now)
    return _Listed(older, "cached" if older else "none", trouble)


def _drafted(answer: Recommendations, other: Recommendations) -> _Listed:
    """Both rankings in one list under the first answer's id; its letters seed the coin, so the list can be redrawn."""
    first, second = ([item.item_id for item in one.items] for one in (answer, other))
    drafted = draft(first, second, len(answer.items), random.Random(answer.request_id))
    items = tuple(ScoredItem(one.item_id, 0.0, rank) for rank, one in enumerate(drafted, 1))
    return _Listed(replace(answer, items=items), "model", teams={one.item_id: one.team for one in drafted})


def _wanted_ids(listed: _Listed, request: RecommendRequest) -> list[str]:
    """Item ids in order. An older list may hold what is in the basket or in view by now; that is left out here."""
    if listed.answer is None:
        return []
    ids = [item.item_id for item in listed.answer.items]
    if listed.source == "model":
        return ids
    unwanted = {*request.context.cart_item_ids, *request.constraints.exclude_item_ids}
    return [item_id for item_id in ids if item_id not in unwanted]


def request_for(
    settings: SlotSettings, shopper: Shopper, visit: Visit, needs: Needs, *, explores: bool = True
) -> RecommendRequest:
    """What to ask for a slot.

    Without consent to personalisation it says what the page shows and nothing about the person.
    """
    anchor = SLOTS[settings.slot].anchor
    is_known = shopper.consent.personalisation
    department = (f"category:{needs.category}",) if needs.category and not needs.include_tags else ()
    return RecommendRequest(
        user_id=shopper.recsys_user_id or None,
        k=_wanted(settings.k, needs),
        context=Context(
            surface=settings.slot,
            item_id=needs.item or None if anchor is not Anchor.RECENT else None,
            cart_item_ids=tuple(visit.cart),
            session_item_ids=tuple(reversed(visit.recent)) if is_known else (),
            session_id=shopper.session_id if is_known else None,
            extra={"category": needs.category} if needs.category else {},
        ),
        constraints=Constraints(
            include_tags_any=needs.include_tags or department,
            exclude_tags_any=needs.exclude_tags,
            exclude_item_ids=_unwanted(needs, visit, anchor),
            price_between=(needs.low, needs.high) if needs.low is not None or needs.high is not None else None,
        ),
        overrides=Overrides(
            brand_cap=settings.brand_cap or None,
            category_cap=settings.category_cap or None,
            exploration_rate=None if explores else 0.0,
        ),
    )


def _wanted(k: int, needs: Needs) -> int:
    """Tags are alternatives to one another, so a brand within a department is cut out of a longer list of the brand."""
    return min(MAX_K, (k + SPARE) * (NARROWING if needs.category and needs.include_tags else 1))


def _unwanted(needs: Needs, visit: Visit, anchor: Anchor) -> tuple[str, ...]:
    """What must not be offered: products already on the page, what a list about recent items is about, and what the
    shopper turned away.
    """
    seen = visit.recent if anchor is Anchor.RECENT else ()
    return (*((needs.item,) if needs.item else ()), *needs.elsewhere, *seen, *visit.turned_away)


def _ask(recommender: Recommender, request: RecommendRequest) -> tuple[Recommendations | None, str, str]:
    """The recommender's list, the policy it was drawn by, and no trouble; or no list, and late or failed."""
    gateway = recommender.gateway
    if gateway is None:
        return None, "", "failed"
    ask = partial(_by_policy, gateway, recommender.policies) if recommender.policies else partial(_plain, gateway)
    try:
        if getattr(gateway, "is_instant", False):  # handing over to another thread would cost more than the list
            return *ask(request), ""
        return *_in_time(ask, request, recommender.deadline_s), ""
    except DeadlineMissed:
        log.warning("recommend_late", extra={"slot": request.context.surface, "deadline_s": recommender.deadline_s})
        return None, "", "late"
    except RecsysError as error:
        log.warning("recommend_failed", extra={"slot": request.context.surface, "error": type(error).__name__})
        return None, "", "failed"


Drawn = tuple[Recommendations, str]
"""A list and the policy it was drawn by; empty text without a bandit."""


def _plain(gateway: RecsysGateway, request: RecommendRequest) -> Drawn:
    return gateway.recommend(request), ""


def _by_policy(gateway: RecsysGateway, policies: Sequence[str], request: RecommendRequest) -> Drawn:
    """A policy that was deleted at the recommender meanwhile is no reason to show no list."""
    try:
        answer, choice = gateway.control.recommend_by_policy(request, policies, exploration_floor=FLOOR)
    except RecsysRejected as error:
        log.warning("bandit_refused", extra={"slot": request.context.surface, "code": error.code})
        return _plain(gateway, request)
    return answer, choice.policy_id


def _in_time(ask: Callable[[RecommendRequest], Drawn], request: RecommendRequest, deadline_s: float) -> Drawn:
    """Ask in another thread and wait no longer than the deadline. Raises DeadlineMissed and what the gateway raises."""
    waiting: Future[Drawn] = _pool.submit(ask, request)
    try:
        return waiting.result(deadline_s)
    finally:
        waiting.cancel()


def _stand_in(k: int, visit: Visit, needs: Needs, today: date) -> list[ProductCard]:
    """Best sellers, of the department when the address names one; never what is in the basket, on the page or turned
    away.
    """
    known = [*visit.cart, *([needs.item] if needs.item else []), *needs.elsewhere, *visit.turned_away]
    category = needs.category or (category_of(needs.item) if needs.item else "")
    shown = best_sellers(limit=k, today=today, category_path=category, exclude=known)
    if len(shown) == k or not category or needs.category:
        return shown
    known += [card.sku for card in shown]
    return shown + best_sellers(limit=k - len(shown), today=today, exclude=known)
