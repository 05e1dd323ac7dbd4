"""What was found out about one event: plain values, from which the sentences are made. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from watcher.erpnext.deletions import Deletion
from watcher.errors import ExitCode
from watcher.events import model
from watcher.ledger import told
from watcher.sync.passes import Basis

Side = Literal["google", "erpnext"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A side that was not asked, or did not answer as was needed: why, what to do, and the exit
    code that this gives."""

    message: str
    step: str = ""
    code: int = ExitCode.OK

    @property
    def is_outage(self) -> bool:
        return self.code == ExitCode.UNAVAILABLE


@dataclass(frozen=True, kw_only=True, slots=True)
class AtGoogle:
    """What Google says now. ``event`` is None where it does not know the event. ``instances`` are
    those of a series that lie in the window; ``moved_from`` is when an instance began before it was
    moved. ``unreadable`` says what is wrong with an event that cannot be read; ``named`` is as much
    of it as can. ``hides_calendar`` is why Google does not even show the calendar."""

    event: model.GoogleEvent | None = None
    instances: tuple[model.GoogleEvent, ...] = ()
    moved_from: model.EventTime | None = None
    unreadable: str = ""
    named: model.GoogleEvent | None = None
    hides_calendar: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class InErpnext:
    """What ERPNext says now: the event's row, the rows of a series' instances, the rows that the
    same event has from other calendars, and who deleted a row that is not there any more."""

    row: model.Row | None = None
    of_series: tuple[model.Row, ...] = ()
    elsewhere: tuple[model.Row, ...] = ()
    deletion: Deletion | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What a pass would make of it. ``mapped`` is the event in ERPNext's form or why it is left
    out; ``actions`` are what would be done, one an event (None where ERPNext's row is not known).
    ``differs`` are the words for what the row holds otherwise. ``unmappable``: ERPNext cannot hold
    it. ``outside``: it lies beyond the window."""

    mapped: model.MappedEvent | None = None
    outside: bool = False
    unmappable: str = ""
    actions: tuple[model.Action, ...] | None = None
    differs: str = ""

    @property
    def creates(self) -> bool:
        return isinstance(self.action, model.Create)

    @property
    def cancels(self) -> bool:
        """A row of it is to be cancelled, also one of a series' instances."""
        return any(isinstance(action, model.Cancel) for action in self.actions or ())

    @property
    def action(self) -> model.Action | None:
        return self.actions[0] if self.actions else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that is known of one event in one calendar. ``google`` and ``erpnext`` are a ``Silence``
    where the side was not heard. ``basis`` holds window and policy as a pass has them.
    ``read_since`` is the first pass that began after Google's last change."""

    calendar: told.CalendarTold
    event_id: str
    key: str
    basis: Basis
    google: AtGoogle | Silence
    erpnext: InErpnext | Silence
    decided: Decided = field(default_factory=Decided)
    aside: told.AsideTold | None = None
    series_aside: tuple[told.AsideTold, ...] = ()
    read_since: told.ReadTold | None = None

    @property
    def event(self) -> model.GoogleEvent | None:
        return self.google.event if isinstance(self.google, AtGoogle) else None

    @property
    def named(self) -> model.GoogleEvent | None:
        """The event as far as it tells its title, None where Google has it no longer."""
        event = self.google.named if isinstance(self.google, AtGoogle) else None
        event = event or self.event
        return None if event is None or event.is_cancelled else event

    @property
    def row(self) -> model.Row | None:
        return self.erpnext.row if isinstance(self.erpnext, InErpnext) else None

    @property
    def changed_at(self) -> datetime | None:
        """Google's stamp of the last change, of a series that of the last change of any instance.
        None where Google does not say when: something was deleted."""
        google, event = self.google, self.event
        if event is None or not isinstance(google, AtGoogle):
            return None
        if event.is_master and self.decided.cancels:
            return None
        stamps = [each.updated for each in (event, *google.instances)]
        return max((stamp for stamp in stamps if stamp is not None), default=None)

    @property
    def was_read(self) -> bool:
        """Whether a pass has gone through since Google's last change. The diary is kept for two
        weeks; before that, the last success tells."""
        if self.read_since is not None:
            return True
        last, changed = self.calendar.last_success_at, self.changed_at
        return (
            last is not None and changed is not None and last > changed and not self.calendar.owes
        )
