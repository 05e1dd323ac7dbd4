"""Failures that a test asks for (rules that are matched against requests), and the log of
requests."""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Fault:
    """One rule. ``match`` is searched in "METHOD /path" and in "METHOD /path?query".

    ``status`` 0 leaves the answer alone (a mere ``delay``, in seconds). ``body`` is sent as it
    is (as JSON unless it is text), otherwise Google's error JSON with ``reason`` and
    ``message``. ``drop`` closes the connection without an answer. ``after`` lets the request do
    its work first. ``count`` is how often it strikes (None: always), ``probability`` how likely
    each time, ``skip`` how many matching requests pass before.
    """

    match: str
    status: int = 0
    reason: str = ""
    message: str = ""
    body: Any = None
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    after: bool = False
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.body is not None and not isinstance(self.body, str):
            self.body = json.dumps(self.body)
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from None


class Faults:
    """The rules in force; the first one that matches a request is applied."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()
        self._rng = random.Random()

    def add(self, rule: Fault | Mapping[str, Any]) -> Fault:
        """ValueError or TypeError for a rule that cannot be read."""
        made = rule if isinstance(rule, Fault) else Fault(**rule)
        with self._lock:
            self._rules.append(made)
        return made

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def strike(self, method: str, path: str, query: str) -> Fault | None:
        """The rule that applies to this request, which counts as one use of it; None when no rule
        matches."""
        plain = f"{method} {path}"
        with self._lock:
            for rule in self._rules:
                if not re.search(rule.match, plain) and not re.search(
                    rule.match, f"{plain}?{query}"
                ):
                    continue
                if self._takes(rule):
                    return rule
        return None

    def _takes(self, rule: Fault) -> bool:
        if rule.count is not None and rule.struck >= rule.count:
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if rule.probability < 1.0 and self._rng.random() >= rule.probability:
            return False
        rule.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request. ``query`` holds names and values, no credentials."""

    at: str
    method: str
    path: str
    query: dict[str, str]
    route: str
    status: int
    user: str | None
    milliseconds: float


class RequestLog:
    """The last requests and how many there were of each route and status."""

    def __init__(self, keep: int = 5000) -> None:
        self._entries: deque[Request] = deque(maxlen=keep)
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, entry: Request) -> None:
        with self._lock:
            self._entries.append(entry)
            self._counts[entry.route] += 1
            self._statuses[f"{entry.route} {entry.status}"] += 1

    def entries(self) -> list[Request]:
        with self._lock:
            return list(self._entries)

    def counts(self) -> dict[str, int]:
        """Requests by route, e.g. ``{"events.list": 3, "token": 1}``."""
        with self._lock:
            return dict(self._counts)

    def statuses(self) -> dict[str, int]:
        """Requests by route and status, e.g. ``{"events.list 410": 1}``."""
        with self._lock:
            return dict(self._statuses)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._counts.clear()
            self._statuses.clear()
