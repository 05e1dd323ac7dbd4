"""Which processes of Watcher run: each of them leaves a tick in the ledger every 20 seconds, and
``watcher status`` says which are missing."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from watcher import errors
from watcher.ledger.document import ProcessCounts
from watcher.ledger.models import Process
from watcher.ledger.problems import Problem, ProblemState

TICK_SECONDS = 20.0
GONE_AFTER = timedelta(seconds=90)
START_GRACE = timedelta(seconds=60)
"""How long the others may take to start after the first of them."""
EARLY = timedelta(seconds=60)
LOOP = 3
"""So many starts in a row that each ended within ``EARLY`` are a loop and no accident."""
KEEP = timedelta(days=14)
MISSED_FOR = timedelta(days=1)
"""So long a process that went silent is missed, while others do its work."""
WEB, LIVE, BACKFILL, CRON = KINDS = ("web", "live", "backfill", "cron")
_CAUSES = {
    WEB: errors.Cause.WEB_NOT_RUNNING,
    LIVE: errors.Cause.WORKER_NOT_RUNNING,
    BACKFILL: errors.Cause.WORKER_NOT_RUNNING,
    CRON: errors.Cause.CRON_NOT_RUNNING,
}
_COMMANDS = {
    WEB: "watcher web",
    LIVE: "watcher worker",
    BACKFILL: "watcher worker --queue backfill",
    CRON: "watcher cron",
}
_LOST = {
    WEB: errors.sentence("Google's messages are refused, and no page opens"),
    LIVE: errors.sentence("changes that Google tells of are not read"),
    BACKFILL: errors.sentence("full syncs and polls are not made"),
    CRON: errors.sentence("nothing is polled, renewed or tried again"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Me:
    """A process that tells of itself. ``name`` stays the same over its restarts; ``address`` is
    where a web process listens (``http://127.0.0.1:8080``), empty for the others."""

    name: str
    kind: str
    host: str
    address: str = ""


def begin(session: Session, me: Me, now: datetime) -> None:
    """Note a start. One that follows an early end, and was not asked for, counts as a restart."""
    row = session.get(Process, me.name)
    restarts, since = 0, None
    if row is not None and row.ended_at is None and row.seen_at - row.started_at < EARLY:
        restarts, since = row.restarts + 1, row.unwell_since or row.started_at
    session.merge(
        Process(
            name=me.name,
            kind=me.kind,
            host=me.host,
            address=me.address,
            started_at=now,
            seen_at=now,
            ended_at=None,
            restarts=restarts,
            unwell_since=since,
            error="",
        )
    )


def tick(session: Session, me: Me, now: datetime, error: str = "") -> None:
    """Note that the process runs; ``error`` is what it finds wrong with itself."""
    row = session.get(Process, me.name)
    if row is None:  # the ledger was restored from a backup meanwhile
        begin(session, me, now)
        row = session.get_one(Process, me.name)
    row.seen_at, row.ended_at, row.error = now, None, error
    if error:
        row.unwell_since = row.unwell_since or now
    elif now - row.started_at >= EARLY:
        row.unwell_since = None


def end(session: Session, me: Me, now: datetime) -> None:
    """Note that the process was asked to end, and does."""
    row = session.get(Process, me.name)
    if row is not None:
        row.ended_at = now


def prune(session: Session, now: datetime) -> None:
    session.execute(delete(Process).where(Process.seen_at < now - KEEP))


def this_host() -> str:
    """The name of this machine, or container, as the ledger keeps it."""
    return socket.gethostname()[:60]


def of_host(session: Session, host: str, kind: str, now: datetime) -> list[Process]:
    """Processes of one kind on one machine that should run, as far as the ledger knows."""
    mine = Process.host == host, Process.kind == kind
    return [row for row in session.scalars(select(Process).where(*mine)) if runs(row, now)]


def here(session: Session, host: str, now: datetime) -> list[Process]:
    """All that run on one machine."""
    return [row for row in everything(session) if row.host == host and runs(row, now)]


def counts(session: Session, now: datetime) -> ProcessCounts:
    running = [row.kind for row in everything(session) if runs(row, now)]
    return ProcessCounts(**{kind: running.count(kind) for kind in KINDS})


def problems(session: Session, now: datetime) -> list[Problem]:
    """What does not run and should. A ledger in which no process has ever told of itself says
    nothing."""
    rows = everything(session)
    running = [row for row in rows if runs(row, now)]
    if rows and not running:
        return [_nothing_runs(rows)]
    first = min((row.started_at for row in running), default=now)
    missing = _missing(rows, running, first) if now - first > START_GRACE else ()
    return [*missing, *_unwell(running)]


def silent(session: Session, now: datetime) -> Iterator[Problem]:
    """Processes that have not said their end and tell nothing any more, while others of their kind
    go on: one that hangs, or was killed. One that has a successor on its machine is not missed."""
    rows = everything(session)
    running = [row for row in rows if runs(row, now)]
    for row in rows:
        alike = [other for other in running if other.kind == row.kind]
        followed = any(o.host == row.host and o.started_at > row.seen_at for o in alike)
        if row in running or row.ended_at or not alike or followed:
            continue
        if now - row.seen_at < MISSED_FOR:
            yield Problem(
                state=ProblemState.PROCESS_SILENT,
                cause=errors.Cause.PROCESS_SILENT,
                since=row.seen_at,
                next_step=errors.sentence(
                    "see whether it hangs or was killed, and start it again; if it is to be gone, "
                    "nothing: it is forgotten after a day"
                ),
                message=errors.sentence(
                    "%(name)s (`%(command)s`) tells nothing of itself any more; others do its work",
                    name=row.name,
                    command=_COMMANDS[row.kind],
                ),
            )


def everything(session: Session) -> Sequence[Process]:
    """All that have told of themselves within ``KEEP``, by name."""
    return session.scalars(select(Process).order_by(Process.name)).all()


def runs(row: Process, now: datetime) -> bool:
    """Whether it has told of itself lately, and not of its end."""
    return row.ended_at is None and now - row.seen_at <= GONE_AFTER


def _nothing_runs(rows: Sequence[Process]) -> Problem:
    return Problem(
        state=ProblemState.NOT_RUNNING,
        cause=errors.Cause.WATCHER_NOT_RUNNING,
        since=max(row.ended_at or row.seen_at for row in rows),
        next_step=errors.sentence(
            "start `watcher up` (or its services), and look into its log for why it ended"
        ),
        message=errors.sentence(
            "neither the web server nor a worker nor cron runs: nothing is mirrored"
        ),
    )


def _missing(
    rows: Sequence[Process], running: Sequence[Process], first: datetime
) -> Iterator[Problem]:
    known: dict[str, list[Process]] = defaultdict(list)
    for row in rows:
        known[row.kind].append(row)
    for kind in KINDS:
        if any(row.kind == kind for row in running):
            continue
        yield Problem(
            state=ProblemState.NOT_RUNNING,
            cause=_CAUSES[kind],
            since=max((row.ended_at or row.seen_at for row in known[kind]), default=first),
            next_step=errors.sentence(
                "start `watcher up` (or `%(command)s`), and look into its log",
                command=_COMMANDS[kind],
            ),
            message=errors.sentence(
                "no `%(command)s` runs: %(lost)s", command=_COMMANDS[kind], lost=_LOST[kind]
            ),
        )


def _unwell(running: Sequence[Process]) -> Iterator[Problem]:
    for row in running:
        if row.restarts >= LOOP and row.seen_at - row.started_at < EARLY:
            yield Problem(
                state=ProblemState.RESTARTS,
                cause=errors.Cause.CRASH_LOOP,
                since=row.unwell_since or row.started_at,
                next_step=errors.sentence("look into its log for why it ends"),
                message=errors.sentence(
                    "%(name)s has ended %(times)s times, each soon after its start",
                    name=row.name,
                    times=row.restarts,
                ),
            )
        elif row.error:
            yield not_answering(row.name, row.error, row.unwell_since or row.seen_at)


def not_answering(name: str, reason: str, since: datetime) -> Problem:
    """A web process that lives and does not answer."""
    return Problem(
        state=ProblemState.NOT_ANSWERING,
        cause=errors.Cause.WEB_NOT_ANSWERING,
        since=since,
        next_step=errors.sentence("look into the log of `watcher web`, and start it again"),
        message=errors.sentence(
            "%(name)s does not answer at its own address: %(reason)s", name=name, reason=reason
        ),
    )
