"""One question for all threads that ask the same at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Asked(Generic[T]):
    """One question: it waits for the one ``before`` it."""

    before: _Asked[T] | None
    answer: Future[T] = field(default_factory=Future)
    has_begun: bool = False


class Together(Generic[T]):
    """Answers questions that many threads ask at once. Thread-safe.

    A thread that asks while the same is being asked for another one does not take that answer,
    since it may be of the time before this thread came. All that come meanwhile share the next one:
    it is begun after the last of them has come.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[Hashable, _Asked[T]] = {}

    def ask(self, key: Hashable, question: Callable[[], T]) -> T:
        """The answer to ``question``, which is the same for every ``key``. Raises what it raises,
        in all threads that share it."""
        with self._lock:
            newest = self._newest.get(key)
            if newest is not None and not newest.has_begun:
                asked = None
            else:
                asked = self._newest[key] = _Asked(before=newest)
        if asked is None:
            assert newest is not None
            return newest.answer.result()
        return self._answer(key, asked, question)

    def _answer(self, key: Hashable, asked: _Asked[T], question: Callable[[], T]) -> T:
        if asked.before is not None:
            asked.before.answer.exception()  # waits, whatever comes of it
            asked.before = None
        with self._lock:
            asked.has_begun = True
        try:
            answer = question()
        except BaseException as error:
            asked.answer.set_exception(error)
            raise
        else:
            asked.answer.set_result(answer)
            return answer
        finally:
            with self._lock:
                if self._newest.get(key) is asked:
                    del self._newest[key]
