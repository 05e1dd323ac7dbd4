"""Failures that a test asks for: faults of single requests, and states of the whole site."""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Maintenance = Literal["", "full", "read-only"]
UnknownField = Literal["", "permission"]


@dataclass(kw_only=True, slots=True)
class Fault:
    """What the requests meet whose "METHOD path cmd" the regular expression ``match`` finds.

    ``status``: what they are answered (0: their own answer, after ``delay`` seconds).
    ``exc_type`` and ``message``: as Frappe sends them; ``html``: a page instead of JSON.
    ``count``: how many requests (None: all), each with ``probability``.
    ``after_commit``: the request is carried out first, and only its answer is lost.
    ``drop``: the connection is closed without any answer.
    """

    match: str = ""
    status: int = 503
    exc_type: str = ""
    message: str = ""
    html: bool = False
    count: int | None = 1
    probability: float = 1.0
    delay: float = 0.0
    after_commit: bool = False
    drop: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match: {error}") from error
        if not 0 <= self.probability <= 1:
            raise ValueError("probability is from 0 to 1")


class Faults:
    """The faults in the order in which they were added; the first that matches is met."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def waiting(self) -> int:
        """How many faults are still to be met."""
        with self._lock:
            return len(self._faults)

    def take(self, what: str) -> Fault | None:
        """The fault that this "METHOD path cmd" meets, counted down."""
        with self._lock:
            for fault in self._faults:
                if re.search(fault.match, what) and self._random.random() < fault.probability:
                    if fault.count is not None:
                        fault.count -= 1
                        if fault.count < 1:
                            self._faults.remove(fault)
                    return fault
        return None


class Troubles:
    """States of a site. All of them can be set at any time; ``clear`` ends them."""

    maintenance: Maintenance = ""
    """"full": nothing is answered; "read-only": writes are refused."""
    database_down: bool = False
    """Every request is answered by an HTML page with status 500."""
    html: bool = False
    """Every request is answered by an HTML page with status 200, as a wrong proxy does."""
    wrong_keys: bool = False
    """No key is known any more."""
    queue_down: bool = False
    """The queue's Redis is gone: a deletion is committed, and then answered with 500."""
    queue_full: bool = False
    """More than 550 jobs wait (16 only): inserts and updates are committed and then answered 500
    with HTML, ``queue_delay`` seconds late; a deletion is answered 503 and not done."""
    queue_delay: float = 0.0
    """Five seconds on a real site."""
    limited_until: float = 0.0
    """Until then (in the site's seconds) each request is answered 429."""
    deadlock_at: int | None = None
    """The next bulk_update meets a deadlock on its document of this number, from 1 on."""
    unknown_field_answer: UnknownField = ""
    """How a field that there is not is refused in a query: "" as the version does it (417
    DataError), "permission" as later versions do (403 PermissionError that names the field)."""
    host: str = ""
    """The only Host (without port) that is a site; any other is 404 HTML. Empty: all are."""

    clock: Callable[[], float]

    def limit_rate(self, seconds: float) -> None:
        """From now on and for so many seconds each request is answered 429."""
        self.limited_until = self.clock() + seconds

    def retry_after(self) -> int:
        """Whole seconds until the rate limit ends; 0 when there is none."""
        return max(0, math.ceil(self.limited_until - self.clock()))

    def set_troubles(self, wanted: Mapping[str, Any]) -> None:
        """Sets some by name, ``rate_limit`` in seconds among them. Raises ValueError."""
        if unknown := set(wanted) - {*STATES, "rate_limit"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if wanted.get("maintenance", "") not in ("", "full", "read-only"):
            raise ValueError("maintenance is '', 'full' or 'read-only'")
        if wanted.get("unknown_field_answer", "") not in ("", "permission"):
            raise ValueError("unknown_field_answer is '' or 'permission'")
        for name, value in wanted.items():
            if name == "rate_limit":
                self.limit_rate(float(value))
            else:
                setattr(self, name, value)

    def clear_troubles(self) -> None:
        for name, value in STATES.items():
            setattr(self, name, value)

    def troubles(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATES}


STATES: dict[str, Any] = {
    "maintenance": "",
    "database_down": False,
    "html": False,
    "wrong_keys": False,
    "queue_down": False,
    "queue_full": False,
    "queue_delay": 0.0,
    "limited_until": 0.0,
    "deadlock_at": None,
    "host": "",
    "unknown_field_answer": "",
}
