"""Tables of the ledger. Rows of ``channels`` are never overwritten; see docs/how-it-works.md."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from watcher.errors import Cause
from watcher.ledger.base import Base as Base
from watcher.ledger.base import index
from watcher.ledger.columns import BigId, SentenceText, UtcDateTime
from watcher.ledger.states import AccountState, CalendarState, ChannelState


class Account(Base):
    """An employee's Google account. ``full_name`` (of the user) and ``employee`` (the name of the
    Employee) are ERPNext's, as last seen; empty where it has none. ``default_event_type`` is what
    an admin has chosen for it, the two ``chosen_`` columns what the employee has (``choices``).
    ``language`` is a code, empty where nobody knows it; ``informed_at`` is when the employee of a
    delegation was told of it."""

    __tablename__ = "accounts"
    __table_args__ = (
        index("ix_accounts_access_expires_at", "access_expires_at"),
        index("ix_accounts_to_inform", "id", "source = 'service-account' AND informed_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    google_sub: Mapped[str | None] = mapped_column(String(255), unique=True)
    erpnext_user: Mapped[str | None] = mapped_column(String(140))
    source: Mapped[str] = mapped_column(String(20))
    state: Mapped[AccountState] = mapped_column(index=True)
    cause: Mapped[str] = mapped_column(String(80), default="")
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_scopes: Mapped[str] = mapped_column(Text, default="")
    granted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refresh_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refresh_claimed_until: Mapped[float] = mapped_column(Float, default=0.0)
    refresh_retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    default_event_type: Mapped[str | None] = mapped_column(String(10))
    chosen_event_type: Mapped[str | None] = mapped_column(String(10))
    chosen_private_events: Mapped[str | None] = mapped_column(String(10))
    language: Mapped[str] = mapped_column(String(10), default="")
    informed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    on_disconnect: Mapped[str] = mapped_column(String(10), default="")
    full_name: Mapped[str] = mapped_column(String(140), default="")
    employee: Mapped[str] = mapped_column(String(140), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @hybrid_property
    def is_active(self) -> bool:
        """Watcher may work for it. In a query: the same, as a condition."""
        return self.state == AccountState.ACTIVE

    @property
    def is_paused_by_employee(self) -> bool:
        """The employee wants it so, which nobody else's routine undoes."""
        wishes = (Cause.BY_EMPLOYEE, Cause.WISHES_TO_LEAVE)
        return self.state == AccountState.PAUSED and self.cause in wishes

    def __repr__(self) -> str:
        return f"Account(id={self.id}, email={self.email!r}, state={self.state})"


RESTLESS = """\
dirty_seq - synced_seq > 0 OR failures > 0 OR state NOT IN ('waiting', 'ok', 'retrying')"""
"""Calendars that somebody has to do with: nearly all others are up to date. ``standing`` has it as
a condition of queries, in the same words, so that the database finds the index."""


class Calendar(Base):
    """One calendar of one account: how far the mirror is, and who works on it.

    ``dirty_seq`` counts known changes, ``synced_seq`` those applied; the calendar owes work while
    they differ. ``snapshot_seq`` is the ``dirty_seq`` at which a snapshot was last asked for, 0
    when none is owed. ``rung_at`` is set while a queued job that has not begun to read will
    serve it: whatever sets it counts ``dirty_seq`` up in the same transaction, and a pass clears
    it when it begins, so that work is owed as long as it is set. ``told_by`` has the ids of the
    requests that told of what is owed.
    ``paced_until``: it is told of without end, and no pass begins before; who set it rings then.
    ``rows_seen`` is ERPNext's newest stamp of a row that was seen after the last writing; ``step``
    what a person can do about ``cause``, where it is no matter of the cause alone. ``look_at``: a
    write was not answered; when ERPNext can no longer be at it, the calendar is listed anew.
    ``changed_at`` is when a pass last wrote a row of it in ERPNext. ``watch_due_at``: before that
    moment nobody has to look whether it is watched; None: at once. Who opens a channel sets it, and
    who ends one, or has it replaced, takes it away; what is true is in the table of the channels.
    ``sweep_shown`` is how many rows a sweep that was held back would have cancelled, as an admin
    was told; ``sweep_allowed`` how many the next pass may cancel although the brake holds, None
    when nobody has said so. It ends when that pass begins, however the pass ends.
    Lease times are epoch seconds of the database's clock.
    """

    __tablename__ = "calendars"
    __table_args__ = (
        UniqueConstraint("account_id", "google_id"),
        index("ix_calendars_next_poll_at", "next_poll_at"),
        index("ix_calendars_next_reconcile_at", "next_reconcile_at"),
        index("ix_calendars_watch_due_at", "watch_due_at"),
        index("ix_calendars_restless", "id", RESTLESS),
        index("ix_calendars_removed", "account_id", "removed IS true", "removed IS 1"),
        index(
            "ix_calendars_pushless",
            "account_id",
            "push_supported IS false",
            "push_supported IS 0",
        ),
        index("ix_calendars_leased", "lease_until", "lease_owner IS NOT NULL"),
        index("ix_calendars_look_at", "look_at", "look_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    google_id: Mapped[str] = mapped_column(String(1024))
    sync_token: Mapped[str | None] = mapped_column(Text)
    query_fingerprint: Mapped[str] = mapped_column(String(64), default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    window_start: Mapped[datetime | None] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    policy_fingerprint: Mapped[str] = mapped_column(String(64), default="")

    dirty_seq: Mapped[int] = mapped_column(Integer, default=0)
    synced_seq: Mapped[int] = mapped_column(Integer, default=0)
    dirty_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dirty_reason: Mapped[str] = mapped_column(String(20), default="")
    told_by: Mapped[str] = mapped_column(Text, default="")
    rung_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paced_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    snapshot_seq: Mapped[int] = mapped_column(Integer, default=0)
    sweep_shown: Mapped[int | None] = mapped_column(Integer)
    sweep_allowed: Mapped[int | None] = mapped_column(Integer)

    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[float] = mapped_column(Float, default=0.0)
    fence: Mapped[int] = mapped_column(Integer, default=0)

    state: Mapped[CalendarState] = mapped_column(default=CalendarState.WAITING)
    cause: Mapped[str] = mapped_column(String(80), default="")
    message: Mapped[str] = mapped_column(SentenceText, default="")
    step: Mapped[str] = mapped_column(SentenceText, default="")
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_snapshot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_poll_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_reconcile_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    push_supported: Mapped[bool | None] = mapped_column(Boolean)
    watch_retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    watch_failures: Mapped[int] = mapped_column(Integer, default=0)
    watch_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    removed: Mapped[bool] = mapped_column(Boolean, default=False)
    rows_seen: Mapped[str] = mapped_column(String(26), default="")
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @hybrid_property
    def owes(self) -> bool:
        """Whether a known change is still to be applied. In a query: the same, as a difference, of
        which PostgreSQL keeps statistics; of a comparison of two columns it always guesses that a
        third of the rows meets it."""
        return self.dirty_seq > self.synced_seq

    @owes.inplace.expression
    @classmethod
    def _owes(cls) -> ColumnElement[bool]:
        return cls.dirty_seq - cls.synced_seq > literal_column("0")


class Channel(Base):
    """One watch channel. ``heard_at`` is when its first message came: Google sends one, ``sync``,
    as soon as a channel is open. Without it nobody knows whether Google reaches us."""

    __tablename__ = "channels"
    __table_args__ = (
        index("ix_channels_opened_at", "opened_at"),
        index("ix_channels_requested_at", "requested_at"),
        index("ix_channels_expires_at", "expires_at", "state IN ('live', 'retiring')"),
        index("ix_channels_unheard", "opened_at", "heard_at IS NULL"),
        index("ix_channels_live", "calendar_id", "state = 'live'"),
        index("ix_channels_noted", "calendar_id", "error <> ''"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id"), index=True)
    resource_id: Mapped[str | None] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[ChannelState] = mapped_column(index=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    renew_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_message_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_message_number: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(SentenceText, default="")


class Run(Base):
    """What one sync did. ``held`` is how many cancellations wait for a person. Durations are in
    seconds; ``lag_received`` is receipt to ERPNext, ``lag_google`` the slowest changed event's
    ``updated`` to ERPNext, ``read_seconds`` how much of ``seconds`` it took until Google had been
    read. ``trace`` is its id in the log and in the calls to ERPNext, ``told_by`` as that of the
    calendar when it began."""

    __tablename__ = "runs"
    __table_args__ = (index("ix_runs_failed", "id", "kind = 'failed'"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
    pages: Mapped[int] = mapped_column(Integer, default=0)
    items: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[int] = mapped_column(Integer, default=0)
    updated: Mapped[int] = mapped_column(Integer, default=0)
    cancelled: Mapped[int] = mapped_column(Integer, default=0)
    unchanged: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    refused: Mapped[int] = mapped_column(Integer, default=0)
    held: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    lag_received: Mapped[float | None] = mapped_column(Float)
    lag_google: Mapped[float | None] = mapped_column(Float)
    read_seconds: Mapped[float | None] = mapped_column(Float)
    trace: Mapped[str] = mapped_column(String(32), default="")
    told_by: Mapped[str] = mapped_column(Text, default="")
    error: Mapped[str] = mapped_column(SentenceText, default="")


class Quarantined(Base):
    """An event that could not be mapped or that ERPNext refused, with the reason in its words.

    ``kind``: ``event`` (not in ERPNext as it should be), ``masking`` (what became private stands
    there), ``cancellation``, ``unmappable`` (only a change in Google helps). ``alike`` is one for
    one cause. ``next_try_at`` is when it is tried again, ``left_at`` when an admin left it aside.
    """

    __tablename__ = "quarantine"
    __table_args__ = (
        UniqueConstraint("calendar_id", "sync_key"),
        Index("ix_quarantine_next_try_at", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id"))
    sync_key: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(1024))
    message: Mapped[str] = mapped_column(SentenceText)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=1)
    series: Mapped[str] = mapped_column(String(1024), default="")
    cause: Mapped[str] = mapped_column(String(80), default="")
    kind: Mapped[str] = mapped_column(String(12), default="")
    alike: Mapped[str] = mapped_column(String(300), default="")
    step: Mapped[str] = mapped_column(SentenceText, default="")
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    left_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Erased(Base):
    """A row of ERPNext whose history was erased: at ``due_at`` what ERPNext has logged since is
    looked through, ``looks`` counts how often that was done. No title, no address."""

    __tablename__ = "erased"
    __table_args__ = (Index("ix_erased_due_at", "due_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    row_name: Mapped[str] = mapped_column(String(140))
    sync_key: Mapped[str] = mapped_column(String(64))
    looks: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Invitation(Base):
    """A connect link: single use, bound to an address; only the id is in the signed link.
    ``mailed_at`` is when Watcher last sent it by mail; ``invited_by`` is the admin's address,
    empty where it is not known (a command, a notice)."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    invited_by: Mapped[str] = mapped_column(String(320), default="")
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    mailed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class OAuthFlow(Base):
    """A consent that Google has answered, by its state (hashed): it must not be used again.

    ``purpose`` is ``connect`` (with an invitation) or ``sign_in`` (dashboard). The other columns
    are those of 0.1 and 0.2, which kept consents under way here; they are empty.
    """

    __tablename__ = "oauth_flows"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    purpose: Mapped[str] = mapped_column(String(10))
    invitation_id: Mapped[str | None] = mapped_column(ForeignKey("invitations.id"))
    verifier: Mapped[bytes] = mapped_column(LargeBinary)
    nonce: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lease(Base):
    """A named lease (the ticker, renewal ...): epoch seconds of the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(80))
    until: Mapped[float] = mapped_column(Float)


class Tick(Base):
    """When each piece of periodic work last ran and ended well."""

    __tablename__ = "ticks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_ok_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(SentenceText, default="")


class Process(Base):
    """A long-running process of Watcher, as it last told of itself (``presence``). ``kind`` is
    ``web``, ``live``, ``backfill`` or ``cron``; ``address`` is where a web process listens;
    ``restarts`` counts the starts in a row that followed an early end; ``ended_at`` is set by one
    that was asked to end; ``unwell_since`` is when such a row of starts, or ``error``, began."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    host: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(String(120), default="")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    unwell_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(SentenceText, default="")


class Usage(Base):
    """Google calls counted by bucket: ``minute:<epoch minute>[:account]`` or ``day:<date>``."""

    __tablename__ = "usage"

    bucket: Mapped[str] = mapped_column(String(80), primary_key=True)
    calls: Mapped[int] = mapped_column(Integer, default=0)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Counter(Base):
    """Small lifetime counters that must survive a restart (forged notifications ...)."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)


class Fact(Base):
    """One remembered fact about the outside: site time zone, API user, key fingerprint."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    learned_at: Mapped[datetime] = mapped_column(UtcDateTime)
