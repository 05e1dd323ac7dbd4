"""What differs between Google and ERPNext in one calendar, each event by the name that an admin may
know. ``watcher verify`` and the calendar's page tell it; nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.errors import Transient, counted, sentence
from watcher.explain import words
from watcher.google.client import PATIENT, Patience
from watcher.ledger import debts
from watcher.services import Services
from watcher.sync import comparing, passes

KINDS = ("missing", "extra", "different")
"""Of ERPNext's rows: not there, there without an event, there with something else in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Differing:
    """``detail`` says what differs, or where the event stands, and ``told`` the same for people; no
    text of the event."""

    event_id: str
    detail: str
    told: str
    name: words.Name


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """All that differ in one of the ``KINDS``: how many, and the first of them."""

    kind: str
    count: int
    examples: Sequence[Differing]


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """``mirrored`` is how many of Google's events are mirrored; ``groups`` has every kind."""

    mirrored: int
    groups: Sequence[Group]

    @property
    def count(self) -> int:
        return sum(group.count for group in self.groups)


def pass_that_looks(
    services: Services, calendar_id: int, patience: Patience = PATIENT, seconds: float | None = None
) -> passes.Pass:
    """A pass without a lease, which must not write. It raises ``Transient`` between two calls once
    ``seconds`` are over."""
    began = time.monotonic()

    def hold() -> None:
        if seconds is not None and time.monotonic() - began > seconds:
            raise Transient(
                counted(
                    "Google and ERPNext took more than %(n)s second",
                    "Google and ERPNext took more than %(n)s seconds",
                    round(seconds),
                ),
                side="",
                next_step=sentence(
                    "try again, or compare by `watcher verify EMAIL`, which waits longer"
                ),
            )

    with services.db.reading() as session:
        work = debts.peek(session, calendar_id, snapshot=True)
    return passes.make_pass(services, work, hold, patience)


def look(p: passes.Pass, most: int) -> Differences:
    """Asks both sides now. ``most`` examples of each kind."""
    compared = comparing.compare(p)
    clock = words.Clock(compared.rules.site_zone)
    groups = []
    for kind in KINDS:
        rows = getattr(compared.difference, kind)
        examples = [_named(compared, clock, kind, row) for row in rows[:most]]
        groups.append(Group(kind=kind, count=len(rows), examples=examples))
    return Differences(mirrored=compared.mirrored, groups=groups)


def _named(
    compared: comparing.Comparison, clock: words.Clock, kind: str, row: tuple[str, str, str]
) -> Differing:
    """By the name that an admin may know, where Google still has it."""
    key, event_id, detail = row
    event = compared.events.get(key)
    name = words.name_of(event, compared.rules, clock) if event is not None else words.Name()
    if kind == "missing":
        told = clock.site(detail, compared.rules.site_zone)
    else:
        told = {**words.LEFT_OUT, **words.EXTRA}.get(detail) or detail
    return Differing(event_id=event_id, detail=detail, told=told, name=name)
