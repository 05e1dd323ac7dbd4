"""What one pass over a calendar works with: both sides, and what is decided on besides them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from watcher.erpnext.access import Note
from watcher.erpnext.events import EventMirror
from watcher.erpnext.site import Employee, Site
from watcher.events.compare import Place
from watcher.events.mapping import data_id
from watcher.events.model import MappingRules, Window
from watcher.google.client import PATIENT, QUERY_FINGERPRINT, CalendarClient, Patience
from watcher.ledger import budget, erased, leases, rivals
from watcher.ledger.debts import Work
from watcher.services import Services
from watcher.sync.policy import make_rules, policy_fingerprint, window_of
from watcher.sync.touched import was_touched

Kind = Literal["delta", "snapshot"]
PATIENCE: dict[str, Patience] = {"live": Patience(timeout=3.0, retries=1), "backfill": PATIENT}
"""With Google, by lane. In the lane for pushes a calendar whose answers hang may hold a worker for
seconds only: other calendars wait for it. It is left to a worker for bulk work, who waits longer.
"""
HOLD_EVERY_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """What a pass decides on besides what the two sides hold: plain values, fixed when it begins.
    ``window`` is what is mirrored (with its reach), ``api_user`` who writes in ERPNext, ``policy``
    the fingerprint of the settings that shape the mirror, ``now`` aware."""

    work: Work
    rules: MappingRules
    window: Window
    now: datetime
    api_user: str
    policy: str

    def place(self, calendar_zone: ZoneInfo) -> Place:
        return Place(
            window=self.window,
            site_zone=self.rules.site_zone,
            calendar_zone=calendar_zone,
            now=self.now,
        )

    @property
    def calendar(self) -> tuple[str, str]:
        """Account and calendar id as the fields of ERPNext's rows hold them."""
        return data_id(self.rules.account), data_id(self.rules.calendar_id)

    @property
    def needs_token(self) -> bool:
        """There is no sync token to go on with: a full listing takes one first."""
        return self.work.sync_token is None or self.work.query_fingerprint != QUERY_FINGERPRINT

    @property
    def owes_snapshot(self) -> bool:
        """A delta only tells what changed since its token, mapped as now: that is not enough for a
        calendar that was never listed, for another policy, or where somebody asked for more."""
        return (
            self.work.snapshot
            or self.work.first
            or self.needs_token
            or self.work.policy_fingerprint != self.policy
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """One pass over one calendar. ``kind`` says how Google is read: what changed, or everything in
    the window. ``hold`` keeps the calendar's lease and raises ``LeaseLost`` when it is gone; it is
    called between calls to either side. ``note_erased`` is told of rows (name to key) whose past is
    being erased, before it is done."""

    basis: Basis
    kind: Kind
    google: CalendarClient
    mirror: EventMirror
    hold: Callable[[], None]
    note_erased: Note


def make_pass(
    services: Services,
    work: Work,
    hold: Callable[[], None],
    patience: Patience = PATIENT,
    paid: int = 0,
) -> Pass:
    """Both sides and the policy for one calendar, as of now. ``patience`` is for Google, of whose
    calls so many are ``paid`` for already.

    This is the one place that decides between delta and snapshot. Raises what a first look at the
    ERPNext site raises.
    """
    basis = make_basis(services, work, services.site(), services.employee(work.erpnext_user))
    mirror = services.mirror()
    snapshot = basis.owes_snapshot or (
        was_touched(mirror, work, basis.calendar) and not _has_rival(services, work)
    )
    kind: Kind = "snapshot" if snapshot else "delta"
    return Pass(
        basis=basis,
        kind=kind,
        google=services.google(work.account_id, work.account, _share(basis, kind, paid), patience),
        mirror=mirror,
        hold=hold,
        note_erased=lambda rows: _note_erased(services, rows),
    )


def _has_rival(services: Services, work: Work) -> bool:
    with services.db.reading() as session:
        return rivals.is_known(session, work.calendar_id, services.clock())


def make_basis(services: Services, work: Work, site: Site, employee: Employee | None) -> Basis:
    """What is decided on, as of now. ``employee`` is the ERPNext Employee of the account's user."""
    settings, now = services.settings, services.clock()
    rules = make_rules(settings, work, site, employee)
    return Basis(
        work=work,
        rules=rules,
        window=window_of(settings, now),
        now=now,
        api_user=site.api_user,
        policy=policy_fingerprint(settings, rules),
    )


def _share(basis: Basis, kind: Kind, paid: int) -> budget.Share:
    """The share of Google's budget from which the pass is paid. Of changes alone calls are ``paid``
    before: for pushes no full listing is made."""
    if kind == "snapshot":
        return budget.Share("backfill", at_once=2 if basis.needs_token else 1)
    return budget.Share(budget.purpose_of(basis.work.reason), paid)


def _note_erased(services: Services, rows: Mapping[str, str]) -> None:
    with services.db.session() as session:
        erased.note(session, rows, services.clock())


def keep_lease(services: Services, since: float, *held: leases.CalendarLease) -> Callable[[], None]:
    """A function that prolongs leases of 60 seconds, at most every ten. They were taken at the
    moment ``since`` of the monotonic clock or later."""
    last = since

    def hold() -> None:
        nonlocal last
        if time.monotonic() - last < HOLD_EVERY_SECONDS:
            return
        with services.db.session() as session:
            for lease in held:
                leases.extend_calendar(services.db, session, lease)
        last = time.monotonic()

    return hold
