"""The fault points by name: what is broken, how, and how to know that it was."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from scripts.faults.proxy import FaultProxy
from scripts.faults.stand import Stand

PUSH = 2
"""A push makes two attempts, so two disturbed deliveries make one push fail."""
FIRED_WITHIN_S = 20.0
REACHED_WITHIN_S = 120.0
"""Bad events wait their turn behind what the faults before them left."""
HALVINGS = 8
"""Refused calls after which a bad event has been followed into a small part of its batch."""
UNTIL_DISARMED = 10**9
DOWN_S = 0.5
STARVED_S = 2.5
LOCKED_S = 3.0
STEP_S = 200
"""Below the five minutes that Recsys allows an event to be ahead of it."""
FROZEN_S = 33.0
"""Beyond the 30 s of a lease."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault point may touch."""

    stand: Stand
    proxy: FaultProxy
    tell_poison: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One way to break things. `strike` returns when it is over, with how often it hit."""

    name: str
    strike: Callable[[Scene], int]


def fault_points(stand: Stand) -> list[Point]:
    """Every point for this stand, those first after which a lease has to lapse."""
    return [*_killed(stand), *_stalled(stand), *_network(), *_databases(stand), *_clocks()]


def _killed(stand: Stand) -> Iterator[Point]:
    yield Point("worker killed", partial(_kill, names=["worker"]))
    if len(stand.workers) > 1:
        yield Point("both workers killed", partial(_kill, names=stand.workers))
    yield Point("web killed", partial(_kill, names=["web"]))
    yield Point("Redis killed", partial(_kill, names=["redis"]))
    yield Point("cron killed", partial(_kill, names=["cron"]))
    yield Point("engine killed", partial(_kill, names=["engine"]))
    yield Point("power cut: everything killed", partial(_kill, names=list(stand.commands)))


def _stalled(stand: Stand) -> Iterator[Point]:
    if len(stand.workers) > 1:
        yield Point("worker frozen past its lease", _freeze_worker)
    yield Point("engine frozen", _freeze_engine)


def _network() -> Iterator[Point]:
    yield Point("connection refused", _refuse)
    yield Point("connection reset", partial(_disturb, mode="reset"))
    yield Point("time-out before the request arrives", partial(_disturb, mode="time_out_before"))
    yield Point("time-out after commit", partial(_disturb, mode="time_out_after_commit"))
    yield Point("answer 500", partial(_disturb, mode="answer_500"))
    yield Point("answer 503 with Retry-After", partial(_disturb, mode="answer_503"))
    yield Point("answer 429 with Retry-After", partial(_disturb, mode="answer_429"))
    yield Point("half-close in the answer", partial(_disturb, mode="half_close"))
    yield Point("answer cut in its body", partial(_disturb, mode="cut_answer"))
    yield Point("request cut in its body", partial(_disturb, mode="cut_request"))
    yield Point("answer in a slow trickle", partial(_disturb, mode="trickle"))
    yield Point("answer of a stranger (HTML)", partial(_disturb, mode="garbage"))
    yield Point("batch refused as a whole", _refuse_whole_batches)
    yield Point("delivered twice", partial(_disturb, mode="doubled", hits=4))


def _databases(stand: Stand) -> Iterator[Point]:
    yield Point("shop database locked", partial(_call, what="lock_shop", seconds=LOCKED_S))
    yield Point("engine database locked", partial(_call, what="lock_engine", seconds=LOCKED_S))
    if stand.is_sqlite:
        yield Point("disk full under the web", partial(_call, what="fill_disk", name="web", seconds=STARVED_S))
        yield Point("disk full under the worker", partial(_call, what="fill_disk", name="worker", seconds=STARVED_S))
    else:
        yield Point("shop database restarted", lambda scene: scene.stand.cut_database())
    yield Point("disk full under the engine", partial(_call, what="fill_disk", name="engine", seconds=STARVED_S))
    yield Point("disk full under Redis", _starve_redis)


def _clocks() -> Iterator[Point]:
    yield Point("clock steps forward", partial(_step, seconds=STEP_S))
    yield Point("clock steps back", partial(_step, seconds=-STEP_S))


def _kill(scene: Scene, names: list[str]) -> int:
    for name in names:
        scene.stand.kill(name)
    time.sleep(DOWN_S)
    for name in names:
        scene.stand.start(name)
    scene.stand.wait_until_up()
    return len(names)


def _freeze_worker(scene: Scene) -> int:
    """Both workers wait for an answer, so both hold a lease; one of them stops there until its lease is another's."""
    scene.proxy.arm("time_out_after_commit", 2)
    _wait(lambda: scene.proxy.holding == 2, 4.0)
    scene.stand.freeze("worker-2")
    time.sleep(FROZEN_S)
    scene.stand.thaw("worker-2")
    return 1


def _freeze_engine(scene: Scene) -> int:
    scene.stand.freeze("engine")
    time.sleep(LOCKED_S)
    scene.stand.thaw("engine")
    return 1


def _refuse(scene: Scene) -> int:
    scene.proxy.refuse()
    time.sleep(DOWN_S + 1)
    scene.proxy.accept_again()
    return 1


def _disturb(scene: Scene, mode: str, hits: int = PUSH) -> int:
    before = scene.proxy.hits[mode]
    scene.proxy.arm(mode, hits)
    _wait(scene.proxy.is_spent, FIRED_WITHIN_S)
    return scene.proxy.hits[mode] - before


def _refuse_whole_batches(scene: Scene) -> int:
    """Three bad events come in; each batch with one of them is refused until they stand alone."""
    before = scene.proxy.refused_batches
    scene.proxy.arm("refuse_whole_batch", UNTIL_DISARMED)
    scene.tell_poison(3)
    _wait(lambda: scene.proxy.refused_batches - before >= HALVINGS, REACHED_WITHIN_S)
    scene.proxy.disarm()
    return scene.proxy.refused_batches - before


def _call(scene: Scene, what: str, **arguments: object) -> int:
    getattr(scene.stand, what)(**arguments)
    return 1


def _starve_redis(scene: Scene) -> int:
    """A Redis that cannot write its journal may end itself."""
    scene.stand.fill_disk("redis", STARVED_S)
    return 1


def _step(scene: Scene, seconds: float) -> int:
    scene.stand.step_clock(seconds)
    time.sleep(LOCKED_S)
    scene.stand.step_clock(0)
    return 1


def _wait(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
