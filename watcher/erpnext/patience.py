"""How long an answer of ERPNext's is waited for."""

from __future__ import annotations

import math
from typing import Literal

Does = Literal["reads", "writes"]
READ_SECONDS = 15.0
"""So long an answer that only reads is waited for at first: it may be asked for again, and until
the wait is over nobody knows that the site hangs. A write may be carried out all the same."""


class Patience:
    """``most`` seconds for a write. A call that reads is waited for shorter, and each time that
    none came twice as long, so that a site which is only slow is heard in the end."""

    def __init__(self, most: float) -> None:
        self._most, self._first = most, min(READ_SECONDS, most)
        self._reads = self._first

    def seconds(self, does: Does) -> float:
        return self._reads if does == "reads" else self._most

    def learn(self, does: Does, took: float = math.inf) -> None:
        """A call was answered after so many seconds, or was not."""
        if does == "reads" and took < self._first:
            self._reads = self._first
        elif does == "reads" and took == math.inf:
            self._reads = min(2 * self._reads, self._most)
