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
_ADDRESS = (
    "correct what fails under `address` here, then `watcher channels renew --all --force`; "
    "see docs/reaching.md"
)


def ledger(case: Case) -> say.Finding:
    """It opens, and has the form that this version knows."""
    db = case.made.db
    known, is_newest = db.form()
    if known is None:
        return say.missing("there is no ledger yet", "watcher init")
    if not is_newest:
        return say.warn(
            "the ledger is of an older version", "watcher up (it migrates at its start)"
        )
    return say.ok(f"{'SQLite' if db.is_sqlite else 'PostgreSQL'}, of this version")


def writes(case: Case) -> say.Finding:
    """It takes a write now."""
    case.made.db.probe()
    return say.ok("it takes writes")


def cron(case: Case) -> say.Finding:
    """The periodic work runs, and ends well."""
    for problem in case.status.problems:
        if problem.state in _CRON:
            said = problem.message or problem.state.replace("_", " ")
            return say.fail(said, problem.next_step)
    if not case.status.processes.cron and any(p.state in _PROCESSES for p in case.status.problems):
        return say.skip("no `watcher cron` runs")
    return say.ok("the periodic work runs") if _has_calendars(case) else say.skip("no calendar yet")


def running(case: Case) -> say.Finding:
    """Web, workers and cron run and answer, as each has told of itself."""
    for problem in case.status.problems:
        if problem.state in _PROCESSES:
            said = problem.message or problem.state.replace("_", " ")
            return say.fail(said, problem.next_step)
    for problem in case.status.warnings:
        if problem.state == ProblemState.PROCESS_SILENT:
            return say.warn(problem.message or "", problem.next_step)
    counted = asdict(case.status.processes)
    if not any(counted.values()):
        return say.warn("nothing has run here yet", "watcher up")
    if changed := _changed_since_the_start(case):
        return say.warn(
            f"{changed} was changed after they were started: they keep the settings of their start",
            "restart Watcher, e.g. systemctl restart watcher",
        )
    return say.ok(", ".join(f"{count} {kind}" for kind, count in counted.items()))


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
        return say.skip("no calendar that Google could watch yet")
    if counted.missing:
        return say.warn(
            f"{counted.missing} calendars have no watch channel: they are polled",
            "watcher channels renew --all (says why)",
        )
    ends = (
        f", the next one ends {counted.next_expiry:%Y-%m-%d %H:%M} UTC"
        if counted.next_expiry
        else ""
    )
    return say.ok(f"{opened} open{ends}")


def pushes(case: Case) -> say.Finding:
    """Google's notifications arrive: one was heard on the channels that are open."""
    with case.made.db.reading() as session:
        found = arrivals.heard(session, case.now)
        quiet = watched.silence(session, case.now)
    if not found.open:
        return say.skip("no watch channel is open yet")
    if quiet is not None:
        return say.fail(
            f"no notification has come on {quiet.channels} of {found.open} watch channels since "
            f"{quiet.since:%Y-%m-%d %H:%M} UTC: Google does not reach "
            f"{case.settings.notification_url}",
            _ADDRESS,
        )
    if found.last is None:
        return say.skip("the watch channels are younger than two minutes: try again")
    ago = max(0, round((case.now - found.last).total_seconds()))
    return say.ok(f"Google reached us {_told(ago)} ago; heard on {found.heard} of {found.open}")


def _told(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def accounts(case: Case) -> say.Finding:
    """Those who have to do something themselves, or wait for an admin."""
    states = (ProblemState.NEEDS_RECONNECT, ProblemState.DISCONNECTING)
    found = [each for each in case.status.problems if each.state in states and each.account]
    if found:
        causes = say.listed(sorted({each.cause for each in found}))
        return say.warn(f"{len(found)} accounts are not connected ({causes})", found[0].next_step)
    active = case.status.accounts.active
    return say.ok(f"{active} active") if active else say.skip("nobody is connected yet")


def _has_calendars(case: Case) -> bool:
    counted = case.status.calendars
    return any((counted.up_to_date, counted.syncing, counted.delayed, counted.failing))
