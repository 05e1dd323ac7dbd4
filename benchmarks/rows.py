"""What a row of the table is, and what all rows are told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.table import Figure

ADMIN_URL = "WATCHER_TEST_POSTGRES_URL"
KEY, SECRET = "BENCH_ERPNEXT_KEY", "BENCH_ERPNEXT_SECRET"

NOT_ASKED = "it asks nothing of ERPNext"
"""Why a row is not taken against a real site."""


class LeftOut(Exception):
    """A row that cannot be measured here, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """``quick``: few rounds and small numbers. ``postgres`` is the URL of a server on which
    databases may be made; ``ledger``: take it for the ledger of Watcher too. ``erpnext`` is a real
    site instead of the stand-in, with its key from the environment."""

    quick: bool = False
    postgres: str = field(default_factory=lambda: os.environ.get(ADMIN_URL, ""), repr=False)
    ledger: bool = False
    erpnext: str = ""

    def rounds(self, whole: int, quick: int = 3) -> int:
        return quick if self.quick else whole

    def pick(self, whole: int, quick: int, real: int = 0) -> int:
        """A number of things; ``real``: of a quick run against a real site, which takes much longer
        to delete an Event than to make one."""
        if not self.quick:
            return whole
        return real if real and self.erpnext else quick


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement with its name for ``--only``. ``stand_ins`` says why it cannot be taken against
    a real site; empty where it can. ``minutes`` is when it is given up."""

    name: str
    about: str
    measure: Callable[[Options], Iterable[Figure]]
    stand_ins: str = ""
    minutes: float = 8.0
