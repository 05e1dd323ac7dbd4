"""The ledger, and those who work by it: cron, workers, watch channels, accounts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.ledger import arrivals, watched
from watcher.ledger.problems import ProblemState

_CRON = (
    ProblemState.NO_SWEEP_RUN,
    ProblemState.NO_RENEW_RUN,
    ProblemState.SWEEP_FAILS,
    ProblemState.RENEW_FAILS,
)
_PROCESSES = (
    ProblemState.NOT_RUNNING,
    ProblemState.NOT_ANSWERING,
    ProblemState.RESTARTS,
)
_ADDRESS = say.sentence(
    "correct what fails under `address` here, then `watcher channels renew --all --force`; "
    "see docs/reaching.md"
)


def ledger(case: Case) -> say.Finding:
    """It opens, and has the form that this version knows."""
    db = case.made.db
    known, is_newest = db.form()
    if known is None:
        return say.missing(say.sentence("there is no ledger yet"), "watcher init")
    if not is_newest:
        return say.warn(
            say.sentence("the ledger is of an older version"),
            say.sentence("watcher up (it migrates at its start)"),
        )
    kind = "SQLite" if db.is_sqlite else "PostgreSQL"
    return say.ok(say.sentence("%(kind)s, of this version", kind=kind))


def writes(case: Case) -> say.Finding:
    """It takes a write now."""
    case.made.db.probe()
    return say.ok(say.sentence("it takes writes"))


def cron(case: Case) -> say.Finding:
    """The periodic work runs, and ends well."""
    for problem in case.status.problems:
        if problem.state in _CRON:
            return say.fail(problem.message or say.named(problem.state), problem.next_step)
    if not case.status.processes.cron and any(p.state in _PROCESSES for p in case.status.problems):
        return say.skip(say.sentence("no `watcher cron` runs"))
    if _has_calendars(case):
        return say.ok(say.sentence("the periodic work runs"))
    return say.skip(say.sentence("no calendar yet"))


def running(case: Case) -> say.Finding:
    """Web, workers and cron run and answer, as each has told of itself."""
    for problem in case.status.problems:
        if problem.state in _PROCESSES:
            return say.fail(problem.message or say.named(problem.state), problem.next_step)
    for problem in case.status.warnings:
        if problem.state == ProblemState.PROCESS_SILENT:
            return say.warn(problem.message or say.named(problem.state), problem.next_step)
    counts = asdict(case.status.processes)
    if not any(counts.values()):
        return say.warn(say.sentence("nothing has run here yet"), "watcher up")
    if changed := _changed_since_the_start(case):
        return say.warn(
            say.sentence(
                "%(file)s was changed after they were started: they keep the settings of their "
                "start",
                file=changed,
            ),
            say.sentence("restart Watcher, e.g. systemctl restart watcher"),
        )
    return say.ok(
        say.sentence(
            "running: %(web)s web, %(live)s live, %(backfill)s backfill, %(cron)s cron", **counts
        )
    )


def _changed_since_the_start(case: Case) -> str:
    """The file with settings that was changed after a process of this machine was started; empty
    where none was. The checks read it anew, and would all be well while those go on failing. New
    keys need no new start."""
    first = case.first_start()
    if first is None:
        return ""
    pointed = (path for name, path in case.loaded.files.items() if name != "secret_keys")
    for file in filter(None, (case.loaded.file, *pointed)):
        with suppress(OSError):
            if file.stat().st_mtime > first.timestamp() + 1:
                return str(file)
    return ""


def channels(case: Case) -> say.Finding:
    """Every calendar that Google can watch is watched."""
    counted = case.status.channels
    opened = counted.live + counted.silent
    if not opened and not counted.missing:
        return say.skip(say.sentence("no calendar that Google could watch yet"))
    if counted.missing:
        return say.warn(
            say.counted(
                "%(n)s calendar has no watch channel: it is polled",
                "%(n)s calendars have no watch channel: they are polled",
                counted.missing,
            ),
            say.sentence("watcher channels renew --all (says why)"),
        )
    open_ones = say.counted("%(n)s channel open", "%(n)s channels open", opened)
    if counted.next_expiry is None:
        return say.ok(open_ones)
    ends = say.sentence("the next one ends %(when)s", when=counted.next_expiry)
    return say.ok(say.joined(", ", open_ones, ends))


def pushes(case: Case) -> say.Finding:
    """Google's notifications arrive: one was heard on the channels that are open."""
    with case.made.db.reading() as session:
        found = arrivals.heard(session, case.now)
        quiet = watched.silence(session, case.now)
    if not found.open:
        return say.skip(say.sentence("no watch channel is open yet"))
    if quiet is not None:
        return say.fail(
            say.sentence(
                "no notification has come on %(silent)s of %(all)s watch channels since %(since)s: "
                "Google does not reach %(url)s",
                silent=quiet.channels,
                all=found.open,
                since=quiet.since,
                url=case.settings.notification_url,
            ),
            _ADDRESS,
        )
    if found.last is None:
        return say.skip(say.sentence("the watch channels are younger than two minutes: try again"))
    ago = max(0, round((case.now - found.last).total_seconds()))
    return say.ok(
        say.sentence(
            "Google reached us %(time)s ago; heard on %(heard)s of %(all)s",
            time=_told(ago),
            heard=found.heard,
            all=found.open,
        )
    )


def _told(seconds: int) -> str:
    if seconds < 120:
        return say.sentence("%(seconds)s s", seconds=seconds)
    if seconds < 7200:
        return say.sentence("%(minutes)s min", minutes=seconds // 60)
    return say.sentence("%(hours)s h", hours=seconds // 3600)


def accounts(case: Case) -> say.Finding:
    """Those who have to do something themselves, or wait for an admin."""
    states = (ProblemState.NEEDS_RECONNECT, ProblemState.DISCONNECTING)
    found = [each for each in case.status.problems if each.state in states and each.account]
    if found:
        causes = sorted({each.cause or each.state for each in found})
        said = say.counted(
            "%(n)s account is not connected (%(causes)s)",
            "%(n)s accounts are not connected (%(causes)s)",
            len(found),
            causes=say.listed(map(say.named, causes)),
        )
        return say.warn(said, found[0].next_step)
    active = case.status.accounts.active
    if not active:
        return say.skip(say.sentence("nobody is connected yet"))
    return say.ok(say.counted("%(n)s account is active", "%(n)s accounts are active", active))


def _has_calendars(case: Case) -> bool:
    counted = case.status.calendars
    return any((counted.up_to_date, counted.syncing, counted.delayed, counted.failing))
