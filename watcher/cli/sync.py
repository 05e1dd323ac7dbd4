"""``resync`` and ``verify``: mend what differs between Google and ERPNext, or only look."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from watcher import errors
from watcher.cli import common
from watcher.cli.common import (
    App,
    emit,
    json_option,
    messages,
    pass_app,
    select_accounts,
    who,
    whose_option,
)
from watcher.cli.later import later
from watcher.ledger import states

with later():
    from watcher.explain import differences
    from watcher.ledger import calendars, models, steps
    from watcher.sync import asked, story
    from watcher.sync import work as syncing

BUSY_PATIENCE_SECONDS = 180.0
EXAMPLES = 5
RUNS_LOOKED_AT = 200
PERMISSION_CAUSES = frozenset(
    {
        "auth",
        "permission",
        "forbidden",
        "insufficient_permissions",
        "access_not_configured",
        "access_token_scope_insufficient",
        "service_disabled",
        "project_suspended",
        "invalid_grant",
        "invalid_client",
        "deleted_client",
        "disabled_client",
        "unauthorized_client",
        "access_denied",
        "admin_policy_enforced",
        "delegation_not_allowed",
        "no_refresh_token",
        "wrong_account",
        "missing_scope",
        "not_a_calendar_user",
    }
)
"""Causes in the ledger, of both sides, that only a person with rights can mend."""


@dataclass(frozen=True, slots=True)
class Chosen:
    calendar_id: int
    email: str
    google_id: str


def _targets(app: App, whose: common.Whose, only: str | None) -> list[Chosen]:
    found = []
    chosen = select_accounts(app, whose, (states.AccountState.ACTIVE,))
    with app.services.db.reading() as session:
        for account in chosen:
            for c in calendars.of_account(session, account.id):
                if only is None or c.google_id == only:
                    found.append(Chosen(c.id, account.email, c.google_id))
    if not found and (whose.emails or only):
        raise errors.NotFound(
            "no calendar fits", next_step="`watcher calendars list` shows those there are"
        )
    if not found:
        messages.print("nothing to do: no account is active")
    return found


@click.command(short_help="Read the whole window again and correct ERPNext.")
@whose_option("All active accounts.")
@click.option("--calendar", "only", help="Only this calendar id.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, write nothing.")
@click.option("--force", is_flag=True, help="Confirm the mass cancellation that was shown.")
@json_option
@pass_app
def resync(app: App, whose: common.Whose, only: str | None, dry_run: bool, force: bool) -> int:
    """Read the whole window again and correct ERPNext; cron finishes what broke off."""
    targets = _targets(app, whose, only)
    if not dry_run:
        numbers = [target.calendar_id for target in targets]
        asked.owe_reading(app.services, numbers, force=force)
    work = _dry_run if dry_run else _resync_one
    results = _with_bar(app, targets, lambda target: work(app, target))
    if app.as_json:
        emit(results)
    else:
        for result in results:
            messages.print(_line(result), markup=False)
    return common.worst([int(result["code"]) for result in results])


def _with_bar(
    app: App, targets: Sequence[Chosen], work: Callable[[Chosen], dict[str, Any]]
) -> list[dict[str, Any]]:
    results = []
    with common.progress_bar(app) as bar:
        task = bar.add_task("calendars", total=len(targets))
        for target in targets:
            bar.update(task, description=target.email)
            result: dict[str, Any] = {"account": target.email, "calendar": target.google_id}
            results.append(result | errors.contained(partial(work, target), _failed))
            bar.advance(task)
    return results


def _failed(error: errors.WatcherError) -> dict[str, Any]:
    return {"outcome": error.message, "code": error.exit_code, "next_step": error.next_step}


def _resync_one(app: App, target: Chosen) -> dict[str, Any]:
    """Sync in this process. While a worker has the calendar, wait until it has listed it anew."""
    services = app.services
    deadline = time.monotonic() + BUSY_PATIENCE_SECONDS
    while True:
        word = syncing.work_off(services, target.calendar_id, "resync")
        with services.db.reading() as session:
            calendar = calendars.get(session, target.calendar_id)
            account = session.get_one(models.Account, calendar.account_id)
            known = steps.for_account(session, account) or steps.for_calendar(calendar, account)
            paid = calendar.snapshot_seq == 0
        if paid or word in ("failed", "idle", "waits"):
            break
        if time.monotonic() > deadline:
            raise errors.Elsewhere("a worker is still at this calendar; it goes on there")
        time.sleep(0.5)
    if calendar.state == states.CalendarState.HELD:
        known = "look with --dry-run, then repeat with --force if that is right"
        return {
            "outcome": f"waits for you to confirm: {calendar.message}",
            "code": errors.ExitCode.UNHEALTHY,
            "next_step": known,
        }
    if word == "idle" and not paid:
        return {
            "outcome": "the account is no longer active",
            "code": errors.ExitCode.ERROR,
            "next_step": known,
        }
    if not paid:
        return {
            "outcome": f"failed: {calendar.message}",
            "code": _failure_code(calendar),
            "next_step": known,
        }
    counts = _counts(app, target)
    return {"outcome": "done", "code": errors.ExitCode.PARTLY if counts["refused"] else 0, **counts}


def _counts(app: App, target: Chosen) -> dict[str, int]:
    """What was written since the last full listing began: a change that comes in during it is read
    by another, short run after it, which counts, too."""
    names = ("created", "updated", "cancelled", "unchanged", "skipped", "refused")
    counts = dict.fromkeys(names, 0)
    with app.services.db.reading() as session:
        last = calendars.last_run(session, target.calendar_id)
        number = last.id if last else 0
        for run_id in range(number, max(0, number - RUNS_LOOKED_AT), -1):
            run = session.get(models.Run, run_id)
            if run is None or run.calendar_id != target.calendar_id:
                continue
            for name in names:
                counts[name] += getattr(run, name)
            if run.kind == "snapshot":
                break
    return counts


def _failure_code(calendar: models.Calendar) -> int:
    if calendar.state == states.CalendarState.GONE or calendar.cause in (
        "not_found",
        "no_own_calendar",
    ):
        return errors.ExitCode.NOT_FOUND
    if calendar.cause.lower() in PERMISSION_CAUSES:
        return errors.ExitCode.PERMISSION
    if calendar.cause in (*errors.OUTAGES.values(), errors.Cause.GOOGLE_QUOTA):
        return errors.ExitCode.UNAVAILABLE
    return errors.ExitCode.ERROR


def _dry_run(app: App, target: Chosen) -> dict[str, Any]:
    """What a full listing would write. Where the brake would stop it, the number of rows that would
    be cancelled is noted: a ``--force`` that follows confirms up to so many."""
    plan = story.plan_only(differences.pass_that_looks(app.services, target.calendar_id))
    brake = plan.brake
    with app.services.db.session() as session:
        calendars.note_shown(session, target.calendar_id, brake.rows if brake else None)
    planned = Counter(type(action).__name__.lower() for action in plan.actions)
    outcome = f"would wait for you to confirm: {brake.message}" if brake else "dry run"
    return {"outcome": outcome, "code": 0, **planned, "refused": len(plan.refused)}


def _line(result: dict[str, Any]) -> str:
    hidden = {"account", "calendar", "outcome", "code", "next_step"}
    counts = ", ".join(f"{k} {v}" for k, v in result.items() if k not in hidden and v)
    outcome = f"{result['outcome']}: {counts}" if counts else str(result["outcome"])
    step = f"\n  do: {result['next_step']}" if result.get("next_step") else ""
    return f"{who(result['account'], result['calendar'])}: {outcome}{step}"


@click.command()
@whose_option("All active accounts.")
@json_option
@pass_app
def verify(app: App, whose: common.Whose) -> int:
    """Compare Google with ERPNext now; changes nothing. Exit 7 on a difference."""
    targets = _targets(app, whose.or_all(), None)
    results = _with_bar(app, targets, lambda target: _verify_one(app, target))
    if app.as_json:
        emit(results)
    else:
        for result in results:
            messages.print(_verify_line(result), markup=False)
    codes = [int(result["code"]) for result in results]
    return errors.ExitCode.UNHEALTHY if errors.ExitCode.UNHEALTHY in codes else common.worst(codes)


def _verify_one(app: App, target: Chosen) -> dict[str, Any]:
    p = differences.pass_that_looks(app.services, target.calendar_id)
    found = differences.look(p, EXAMPLES)
    result: dict[str, Any] = {"outcome": "equal" if not found.count else "different"}
    result |= {"code": errors.ExitCode.UNHEALTHY if found.count else 0}
    result |= {"events": found.mirrored}
    for group in found.groups:
        result[group.kind] = group.count
        result[f"{group.kind}_examples"] = [
            {"event": each.event_id, "detail": each.detail, **each.name.as_json()}
            for each in group.examples
        ]
    return result


def _verify_line(result: dict[str, Any]) -> str:
    name = who(result["account"], result["calendar"])
    if "events" not in result:
        return _line(result)
    if not result["code"]:
        return f"{name}: equal, {result['events']} events"
    lines = [
        f"{name}: {result['missing']} missing, {result['extra']} extra, "
        f"{result['different']} different of {result['events']}"
    ]
    for kind in differences.KINDS:
        found = [f"{common.called(e)} ({e['detail']})" for e in result[f"{kind}_examples"]]
        lines += [f"    {kind}: {each}" for each in found]
        if result[kind] > EXAMPLES:
            lines.append(f"    ... and {result[kind] - EXAMPLES} more {kind}")
    return "\n".join([*lines, f"  do: watcher resync {result['account']}"])
