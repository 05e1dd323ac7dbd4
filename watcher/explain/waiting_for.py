"""What stands between a decision and ERPNext: why something that is to be written is not there yet.
Pure."""

from __future__ import annotations

from dataclasses import dataclass

from watcher.explain import gathered, words
from watcher.explain.answers import Verdict
from watcher.ledger import states, told


@dataclass(frozen=True, slots=True)
class Wait:
    """Why it waits: a sentence, and what a person can do."""

    verdict: Verdict
    text: str
    step: str = ""


def wait_of(facts: gathered.Facts, clock: words.Clock) -> Wait:
    """Of all that can be in the way, the first that is."""
    for find in (of_account, of_calendar, _of_worker, _of_settings, _of_person):
        found = find(facts, clock)
        if found is not None:
            return found
    return _unheard(facts, clock)


def of_account(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    return account_wait(facts.calendar.account, clock)


def account_wait(account: told.AccountTold, clock: words.Clock) -> Wait | None:
    if account.is_active:
        return None
    cause = f" ({account.cause})" if account.cause else ""
    text = (
        f"Since {clock.at(account.since)} {words.ACCOUNTS[account.state]}{cause}: nothing of "
        f"{account.email} is read or written meanwhile."
    )
    step = {
        states.AccountState.INVITED: f"watcher accounts invite {account.email}",
        states.AccountState.PAUSED: f"watcher accounts resume {account.email}",
    }.get(account.state, "")
    return Wait(Verdict.BLOCKED, text, account.step or step)


def of_calendar(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """The calendar is not mirrored, waits for a person, or its last passes have failed."""
    calendar = facts.calendar
    email = calendar.account.email
    if calendar.removed:
        step = f"watcher calendars add {email} {calendar.google_id}"
        return Wait(Verdict.BLOCKED, "This calendar is no longer mirrored.", step)
    if calendar.state == states.CalendarState.HELD and facts.decided.cancels:
        text = f"Cancellations of this calendar wait to be confirmed: {calendar.message}."
        return Wait(Verdict.BLOCKED, text, calendar.step)
    if not calendar.failures:
        return None
    tries = f"{calendar.failures} times in a row" if calendar.failures > 1 else "once"
    again = f" It is tried again at {clock.at(calendar.retry_at)}." if calendar.retry_at else ""
    text = (
        f"Syncing this calendar has failed {tries}, since {clock.at(calendar.since)}: "
        f"{calendar.message} ({calendar.cause})."
    )
    return Wait(Verdict.BLOCKED, text + again, calendar.step)


def _of_worker(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    calendar = facts.calendar
    if calendar.is_read_now:
        return Wait(Verdict.WAITING, "A worker is reading this calendar just now.")
    if not calendar.owes:
        return None
    since = f" since {clock.at(calendar.waits_since)}" if calendar.waits_since else ""
    step = ""
    if calendar.status == states.CalendarStatus.DELAYED:
        step = "see that `watcher up` (or `watcher worker`) runs"
    return Wait(Verdict.WAITING, f"A change of this calendar waits for a worker{since}.", step)


def _of_settings(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """The settings have changed since the calendar was read as a whole."""
    basis = facts.basis
    known = isinstance(facts.erpnext, gathered.InErpnext) and basis.work.policy_fingerprint
    if not known or basis.work.policy_fingerprint == basis.policy:
        return None
    text = (
        "The settings that decide what is mirrored have changed: the calendar is read as a whole "
        f"with the next poll, by {clock.at(facts.calendar.next_poll_at)}."
    )
    return Wait(Verdict.WAITING, text, f"watcher resync {facts.calendar.account.email}")


def _of_person(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """Watcher has read the calendar since Google's last change, so what differs was changed in
    ERPNext."""
    calendar, row = facts.calendar, facts.row
    by_others = row is not None and row.modified_by.lower() != facts.basis.api_user.lower()
    # Google does not say when an event was deleted.
    if not facts.was_read and (facts.changed_at is not None or not by_others):
        return None
    step = f"watcher resync {calendar.account.email}"
    when = f"by {clock.at(calendar.next_reconcile_at)}" if calendar.next_reconcile_at else "daily"
    deletion = facts.erpnext.deletion if isinstance(facts.erpnext, gathered.InErpnext) else None
    again = f"The next full sync of the calendar, {when}, puts it right."
    if facts.decided.creates:
        lost = (
            f"{deletion.name} was deleted in ERPNext by {deletion.by}"
            if deletion
            else ("its row is missing in ERPNext although the calendar was read since")
        )
        return Wait(Verdict.DIFFERS, f"{_sentence(lost)}. {again}", step)
    if row is not None and by_others:
        at = clock.site(row.modified, facts.basis.rules.site_zone)
        again = f"The next poll, by {clock.at(calendar.next_poll_at)}, puts it right."
        text = f"{row.modified_by} has written {row.name} in ERPNext at {at}. {again}"
        return Wait(Verdict.DIFFERS, text, step)
    return Wait(Verdict.DIFFERS, f"The calendar was read since Google's last change. {again}", step)


def _unheard(facts: gathered.Facts, clock: words.Clock) -> Wait:
    calendar = facts.calendar
    poll = f" It is polled by {clock.at(calendar.next_poll_at)}." if calendar.next_poll_at else ""
    step = ""
    if calendar.push_supported is not False:
        step = _reach(calendar)
    text = f"Watcher has not read this calendar since the change.{poll}"
    return Wait(Verdict.WAITING, text, step)


def _reach(calendar: told.CalendarTold) -> str:
    """What helps where Google tells nothing by itself."""
    if calendar.channel is None:
        return f"watcher channels renew {calendar.account.email}"
    return "watcher doctor (whether Google reaches Watcher)" if calendar.channel.is_silent else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
