"""The diary: what each sync did, when periodic work last ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, and_, delete, insert, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from watcher.languages.sentence import Sentence
from watcher.ledger import counters, often, pages, presence, renewals
from watcher.ledger.batches import delete_all
from watcher.ledger.db import Database
from watcher.ledger.models import (
    Account,
    Channel,
    Fact,
    Invitation,
    OAuthFlow,
    Run,
    Tick,
)
from watcher.ledger.states import AccountState

KEEP_RUNS = timedelta(days=14)
KEEP_EMPTY = timedelta(days=1)
"""Passes that found nothing, which nearly all polls are: 48 a day for each calendar."""
MOST_RUNS = 400_000
"""Of a large company fewer days are kept: so many passes are about 100 MB."""
KEEP_INVITATIONS = timedelta(days=30)
"""So long the page of a link says that it was used or has ended; then it is an unknown one."""
KEEP_CHANNELS = timedelta(days=31)
"""Longer than Google lets a channel live, also one whose opening seemed to have failed."""
KEEP_DEAD_GRANTS = timedelta(days=30)


def add(session: Session, made: Iterable[Run], counted: Mapping[str, int] | None = None) -> None:
    """Write passes into the diary, which is kept for 14 days, and count them for ever, together
    with what else the process has counted meanwhile."""
    counts = Counter(counted or {})
    for run in made:
        values = {name: value for name, value in vars(run).items() if name in _RUN.c}
        often.run(session, _WRITE, values)
        counts += counters.of_run(run)
    counters.add(session, counts)


_RUN = often.table(Run)
_WRITE = insert(_RUN).inline()


def failure(cause: str, why: str) -> str:
    """The ``error`` of a pass that failed."""
    return Sentence.of("%(cause)s: %(why)s", {"cause": cause, "why": why})


def why(error: str) -> str:
    """In whose words it failed: what stands behind the cause."""
    kept = error.values["why"] if isinstance(error, Sentence) else error.partition(": ")[2]
    return kept if isinstance(kept, str) else ""


class cause_of(GenericFunction[str]):
    """The cause of a pass that failed: what stands before ``": "`` in its ``error``."""

    type = String()
    inherit_cache = True


@compiles(cause_of, "sqlite")
def _on_sqlite(element: cause_of, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"substr({text}, 1, instr({text}, ': ') - 1)"


@compiles(cause_of, "postgresql")
def _on_postgresql(element: cause_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"split_part({compiler.process(element.clauses, **options)}, ': ', 1)"


def tick(session: Session, name: str, now: datetime, error: str = "") -> None:
    """Note that periodic work ``name`` ran; ``error`` is empty when it ended well."""
    row = session.get(Tick, name)
    if row is None:
        row = Tick(name=name, last_run_at=now, error="")
        session.add(row)
    row.last_run_at, row.error = now, error
    if not error:
        row.last_ok_at = now


def ticks(session: Session) -> Sequence[Tick]:
    """All periodic work that ever ran, by name."""
    return session.scalars(select(Tick).where(Tick.name != "").order_by(Tick.name)).all()


def prune(db: Database, now: datetime) -> int:
    """Forget what is over: old runs, consents that were never finished, invitations that were used
    or have ended, channels that Google cannot deliver to any more, refresh tokens that have died
    so long ago that Frappe does not hold them any more, what was kept for a page; and that a
    calendar is watched which is not. Returns how many runs it was."""
    delete_all(db, OAuthFlow.state_hash, OAuthFlow.created_at < now - timedelta(hours=1))
    under_way = select(OAuthFlow.invitation_id).where(OAuthFlow.invitation_id.is_not(None))
    over = and_(Invitation.expires_at < now - KEEP_INVITATIONS, Invitation.id.not_in(under_way))
    delete_all(db, Invitation.id, over)
    delete_all(db, Channel.id, Channel.closed_at < now - KEEP_CHANNELS)
    with db.session() as session:
        _forget_dead_grants(session, now)
        pages.forget(session, now)
        presence.prune(session, now)
    renewals.look_at_all(db, now)
    return _prune_diary(db, now)


def _prune_diary(db: Database, now: datetime) -> int:
    gone = delete_all(db, Run.id, Run.started_at < now - KEEP_RUNS)
    empty = Run.kind == "delta", Run.items == 0, Run.refused == 0, Run.error == ""
    gone += delete_all(db, Run.id, and_(Run.started_at < now - KEEP_EMPTY, *empty))
    with db.reading() as session:
        newest = select(Run.id).order_by(Run.id.desc()).offset(MOST_RUNS).limit(1)
        oldest = session.scalar(newest)
    return gone if oldest is None else gone + delete_all(db, Run.id, Run.id <= oldest)


def _forget_dead_grants(session: Session, now: datetime) -> None:
    """While somebody has to authorise in the Desk all are kept: they tell the token that died from
    a new one."""
    waiting = (AccountState.INVITED, AccountState.NEEDS_RECONNECT)
    waits = select(Account.id).where(Account.state.in_(waiting), Account.source == "erpnext")
    if session.scalar(waits.limit(1)) is None:
        old = Fact.name.startswith("dead_grant:"), Fact.learned_at < now - KEEP_DEAD_GRANTS
        session.execute(delete(Fact).where(*old))
