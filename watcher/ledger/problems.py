"""The shape of one problem in the status document, and of its dates."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def problem(
    account: str | None,
    calendar: str | None,
    state: str,
    cause: str,
    since: datetime | None,
    next_step: str,
) -> dict[str, Any]:
    return {
        "account": account,
        "calendar": calendar,
        "state": state,
        "cause": cause,
        "since": iso(since),
        "next_step": next_step,
    }


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
