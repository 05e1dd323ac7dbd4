"""Ids by which one change is followed through the log: of each request to Watcher, and of each pass
over a calendar. They stand in every line that is logged meanwhile, and in the calls to ERPNext.

They are kept in the context of the log, so that no function has to hand them on.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from structlog import contextvars

HEADER = "X-Request-ID"
PASS, REQUEST, REQUESTS = "pass", "request", "requests"
"""Names of the fields in the log: a pass, the request that is being answered, and those that told
of what a pass reads."""
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def new() -> str:
    return secrets.token_hex(8)


def is_well_formed(given: str) -> bool:
    return _WELL_FORMED.fullmatch(given) is not None


def begin_request(request: str) -> None:
    """From now on this thread answers this request, and no other one."""
    contextvars.clear_contextvars()
    contextvars.bind_contextvars(**{REQUEST: request})


@contextmanager
def of_pass(trace: str, told_by: str) -> Iterator[None]:
    """``told_by`` holds the ids of requests, with blanks between them."""
    fields: dict[str, Any] = {PASS: trace}
    if told_by:
        fields[REQUESTS] = told_by.split()
    with contextvars.bound_contextvars(**fields):
        yield


def current() -> str:
    """The id of the pass that this thread makes, or of the request that it answers; else empty."""
    known = contextvars.get_contextvars()
    return str(known.get(PASS) or known.get(REQUEST) or "")
