"""Those who have left ERPNext: named, and disconnected when they have been away for a week."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from watcher import errors
from watcher.accounts import company
from watcher.accounts.disconnect import disconnect
from watcher.services import Services

NAME = "name"
GRACE = timedelta(days=7)
"""So long somebody stays paused who has left: the user may have been disabled by mistake, and who
was disconnected has to be connected anew by hand."""
FEW = 5
"""So many may leave at once in a company of any size."""


def leavers(services: Services, choice: str) -> Iterator[dict[str, Any]]:
    """What became of each account that is paused because ERPNext no longer knows the employee: with
    ``choice`` ``keep``, ``cancel`` or ``delete`` of their events they are disconnected a week
    later. Where that would be most of all accounts, none is: then it is not people who left."""
    found = company.leavers(services)
    before = services.clock() - GRACE
    due = [email for email, since in found if since <= before]
    are_most = len(due) > FEW and 2 * len(due) > company.number_of_connected(services)
    for email, since in found:
        if choice == NAME or email not in due:
            yield _named(email, since, choice)
        elif are_most:
            yield _too_many(email, len(due))
        else:
            one = partial(_disconnected, services, email, choice)
            yield errors.contained(one, partial(_not_yet, email))


def _named(email: str, since: datetime, choice: str) -> dict[str, Any]:
    what = "(watcher accounts disconnect)"
    if choice != NAME:
        what = f"until it is disconnected on {since + GRACE:%Y-%m-%d}"
    return _outcome(email, f"paused since {since:%Y-%m-%d} {what}")


def _disconnected(services: Services, email: str, choice: str) -> dict[str, Any]:
    disconnect(services, email, events=choice)
    return _outcome(email, f"disconnected; the events: {choice}")


def _not_yet(email: str, error: errors.WatcherError) -> dict[str, Any]:
    return _outcome(email, f"not disconnected yet: {error.message}", error.exit_code)


def _too_many(email: str, number: int) -> dict[str, Any]:
    what = (
        f"not disconnected: with it {number} accounts, most of all, would be at once; look at "
        f"ERPNext's users, or `watcher accounts disconnect {email}`"
    )
    return _outcome(email, what, errors.ExitCode.UNHEALTHY)


def _outcome(email: str, what: str, code: int = 0) -> dict[str, Any]:
    return {"email": email, "outcome": f"has left ERPNext, {what}", "code": code}
