"""The learned model as a file: fitted in a process of its own, put in place at once, picked up by every replica."""

import logging
import os
import pickle  # nosec B403 - see where it is used
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from recsys_engine.service.ranking import Ranking
from recsys_engine.signals.learned import FittedModel, fit_model
from recsys_engine.signals.ranking.from_state import Lessons
from recsys_engine.signals.ranking.model import Told, tell_nobody

STATE = 3
"""Length of what `__reduce_ex__` returns up to the object's state."""
log = logging.getLogger(__name__)


class Learning:
    """The learned model of one tenant: who refits it, and which one this process answers with."""

    def __init__(self, file: "ModelFile") -> None:
        self._file = file
        self._model: FittedModel | None = None
        self._alone = threading.Lock()

    def refit(self, lessons: Lessons, now_s: float) -> bool:
        """Learn anew in a side process; false when there is no purchase to learn from."""
        if not len(lessons.orders.item):
            return False
        self._file.refit(lessons, now_s)
        return True

    def refresh(self, answering: Ranking | None = None) -> bool:
        """Read a model some process has put there since; true when there is one.

        Members whom the answering model leaves out since it was read (they were erased) leave the file too.
        """
        with self._alone:  # the background thread refreshes too
            if answering is not None:
                self._keep_without_the_erased(answering)
            model = self._file.newer()
            if model is not None:
                self._model = model
            return model is not None

    def version(self, name: str) -> FittedModel | None:
        """A fit by its version: the one in use or the one before it."""
        if self._model is not None and self._model.version == name:
            return self._model
        return self._file.previous(name)

    def forget_previous(self) -> None:
        """Delete the fit before this one: it may hold what a deleted person did."""
        self._file.forget_previous()

    def install(self, ranking: Ranking) -> None:
        """Let a ranking answer with the model, if there is one."""
        if self._model is not None:
            ranking.learned.use(self._model)

    def _keep_without_the_erased(self, ranking: Ranking) -> None:
        answers = ranking.learned.model
        if self._model is not None and answers is not None and answers.user_ids != self._model.user_ids:
            self._file.write(answers)
            self._model = answers  # only now: a write that failed is tried again


class ModelFile:
    """One tenant's model in a folder that all processes of the machine share. Only the engine writes there."""

    def __init__(self, folder: Path, tenant: int) -> None:
        self._path = folder / f"ranking-{tenant}.pickle"
        self._previous = folder / f"ranking-{tenant}.previous.pickle"
        self._seen_ns = 0

    def refit(self, lessons: Lessons, now_s: float) -> None:
        """Fit in a side process, so that this one keeps serving, and swap the file in when it is whole."""
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as side:
            side.submit(_fit_aside, lessons, now_s, self._path).result()

    def fit_here(self, lessons: Lessons, now_s: float, progress: Told) -> None:
        """Fit in this process, which has nothing else to do, and swap the file in."""
        _fit_to_file(lessons, now_s, self._path, progress)

    def newer(self) -> FittedModel | None:
        """The model if it changed since the last call, else None."""
        try:
            written_ns = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if written_ns == self._seen_ns:
            return None
        self._seen_ns = written_ns
        return _read(self._path)

    def write(self, model: FittedModel) -> None:
        """Put a model in place of the one last read, unless another has come meanwhile."""
        if not self._path.exists() or self._path.stat().st_mtime_ns != self._seen_ns:
            return
        _written_aside(model, self._path).replace(self._path)
        self._seen_ns = self._path.stat().st_mtime_ns

    def previous(self, version: str) -> FittedModel | None:
        """The model before the last refit, if that is its version."""
        model = _read(self._previous)
        return model if model is not None and model.version == version else None

    def forget_previous(self) -> None:
        """Delete the model before the last refit."""
        self._previous.unlink(missing_ok=True)


def _read(path: Path) -> FittedModel | None:
    try:
        with path.open("rb") as file:
            model = pickle.load(file)  # noqa: S301 # nosec B301 - written by this engine into its own folder
    except FileNotFoundError:
        return None
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError):
        log.warning("engine_model_unreadable", extra={"path": path.name})
        return None
    return model if isinstance(model, FittedModel) else None


def _fit_aside(lessons: Lessons, now_s: float, path: Path) -> None:
    os.nice(5)
    _fit_to_file(lessons, now_s, path)


def _fit_to_file(lessons: Lessons, now_s: float, path: Path, progress: Told = tell_nobody) -> None:
    model = fit_model(lessons, now_s, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = _written_aside(model, path)
    if path.exists():  # kept for replaying the lists it made; linked first, so that there is always a model to read
        spare = Path(f"{written}.previous")
        os.link(path, spare)
        spare.replace(path.with_suffix(".previous.pickle"))
    written.replace(path)


def _written_aside(model: FittedModel, path: Path) -> Path:
    """A whole file beside `path`, to be moved there; nothing stays behind of one that could not be written."""
    with NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as file:
        try:
            _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(model)
        except BaseException:
            Path(file.name).unlink()
            raise
    return Path(file.name)


class _Pickler(pickle.Pickler):
    """Writes a model that answers requests meanwhile: what they compute at first use (`cached_property`) comes into an
    object's dictionary while it is being written, so a copy of the dictionary is.
    """

    def reducer_override(self, obj: object) -> Any:
        if not type(obj).__module__.startswith("recsys_engine."):
            return NotImplemented
        made = obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        if isinstance(made, str) or len(made) < STATE or not isinstance(made[STATE - 1], dict):
            return made
        return (*made[: STATE - 1], dict(made[STATE - 1]), *made[STATE:])
