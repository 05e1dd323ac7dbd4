"""Switches for trouble: answers that fail, late or malformed ones."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """Applies to requests whose "METHOD path" matches; ``count`` None: until cleared."""

    match: str
    status: int = 503
    reason: str = "backendError"
    count: int | None = None
    probability: float = 1.0
    body: str | None = None
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.active: list[Fault] = []
        self.requests: Counter[str] = Counter()

    def add(self, **values: Any) -> None:
        with self._lock:
            self.active.append(Fault(**values))

    def clear(self) -> None:
        with self._lock:
            self.active.clear()

    def strike(self, line: str) -> Fault | None:
        """The fault that this request meets, its delay already suffered."""
        with self._lock:
            for fault in self.active:
                if fault.count == 0 or not re.search(fault.match, line):
                    continue
                if random.random() >= fault.probability:
                    continue
                if fault.count is not None:
                    fault.count -= 1
                break
            else:
                return None
        time.sleep(fault.delay)
        return fault if fault.status else None
