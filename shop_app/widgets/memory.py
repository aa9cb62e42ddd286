"""The recommender's latest answers, in this process's memory: repeated for a moment, and shown again while it is away.

What is kept is the list of item ids, never a card: price, stock and status are read from the shop's tables each time,
so that nothing sold out, archived or outside a department is shown, however old the list.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from recsys_engine.contract import Recommendations
from shop_app.site_settings.defaults import SlotSettings
from shop_app.widgets.registry import Needs

Kept = OrderedDict[object, tuple[datetime, Recommendations]]

MOST = 4000
"""Answers of each kind held at once, about 2 kB each; the one longest unused goes first."""
GOOD_FOR = timedelta(minutes=30)
"""How old a list may be that is shown while the recommender is away."""
SETTLED = timedelta(seconds=1)
"""An event delivered so long ago has reached every process's model: they read their log five times a second."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The newest event of a person: what they did since changes the list. `sent_at` is when Recsys had it."""

    event_id: int
    sent_at: datetime | None

    def is_settled(self, now: datetime) -> bool:
        """Whether a list asked for now has learned from it."""
        return self.sent_at is not None and now - self.sent_at >= SETTLED


@dataclass(frozen=True, slots=True)
class Question:
    """All that an answer depends on; equal questions may be given the same answer.

    `settings` are the slot's as they apply, with their version and the changes of the experiment's arm. `person` and
    `session` are empty without consent to personalisation; then neither segment nor taste can differ, since the
    recommender knows only the rest. For a known person `newest_event` makes their next event a new question, and
    `turned_away` their next "Not for me"; `engine_version` makes it one after staff changed the recommender's settings.
    """

    settings: SlotSettings
    experiment: str
    arm: str
    person: str
    session: str
    needs: Needs
    cart: tuple[str, ...]
    recent: tuple[str, ...]
    newest_event: int = 0
    explores: bool = True
    engine_version: int = 0
    turned_away: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[tuple[str, str, Needs], ...]:
        """Under which names a list is found again when the recommender is away: this person's, else anybody's.

        Whatever stood elsewhere on the page then: who takes the list leaves out what stands there now.
        """
        needs = replace(self.needs, elsewhere=()) if self.needs.elsewhere else self.needs
        anybody = ("", self.settings.slot, needs)
        return ((self.person, self.settings.slot, needs), anybody) if self.person else (anybody,)


@dataclass
class AnswerMemory:
    """Answers by question for `repeat_for`, and the last good one by subject. Thread-safe; nothing here is shared
    between processes.
    """

    repeat_for: timedelta
    _recent: Kept = field(default_factory=OrderedDict)
    _good: Kept = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def repeat(self, question: Question, now: datetime) -> Recommendations | None:
        """The answer to this very question, if it was given within `repeat_for`."""
        return self._find(self._recent, question, now - self.repeat_for) if self.repeat_for else None

    def last_good(self, question: Question, now: datetime) -> Recommendations | None:
        """The newest list for this person and place, else the newest for nobody in particular."""
        found = (self._find(self._good, subject, now - GOOD_FOR) for subject in question.subjects)
        return next(filter(None, found), None)

    def keep(self, question: Question, answer: Recommendations, now: datetime, *, may_repeat: bool) -> None:
        """Remember an answer that showed something."""
        with self._lock:
            _put(self._good, question.subjects[0], (now, answer))
            if may_repeat and self.repeat_for:
                _put(self._recent, question, (now, answer))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._recent.clear()
            self._good.clear()

    def _find(self, kept: Kept, key: object, oldest: datetime) -> Recommendations | None:
        with self._lock:
            found = kept.get(key)
            if found is None or not oldest < found[0]:
                return None
            kept.move_to_end(key)
            return found[1]


def _put(kept: Kept, key: object, value: tuple[datetime, Recommendations]) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MOST:
        kept.popitem(last=False)
