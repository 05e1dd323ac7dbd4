"""What stands between a decision and ERPNext: why something that is to be written is not there yet.
Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    state, email = _state(account, clock.at(account.since)), account.email
    if account.cause:
        text = words.sentence(
            "%(state)s (%(cause)s): nothing of %(email)s is read or written meanwhile.",
            state=state,
            cause=words.code(account.cause),
            email=email,
        )
    else:
        text = words.sentence(
            "%(state)s: nothing of %(email)s is read or written meanwhile.",
            state=state,
            email=email,
        )
    step = {
        states.AccountState.INVITED: f"watcher accounts invite {email}",
        states.AccountState.PAUSED: f"watcher accounts resume {email}",
    }.get(account.state, "")
    return Wait(Verdict.BLOCKED, text, account.step or step)


def _state(account: told.AccountTold, since: str) -> str:
    match account.state:
        case states.AccountState.INVITED:
            return words.sentence(
                "Since %(since)s the employee is invited and has not consented", since=since
            )
        case states.AccountState.PAUSED:
            return words.sentence("Since %(since)s the account is paused", since=since)
        case states.AccountState.NEEDS_RECONNECT:
            return words.sentence(
                "Since %(since)s the account has to be connected again", since=since
            )
        case states.AccountState.DISCONNECTING:
            return words.sentence("Since %(since)s the account is being disconnected", since=since)
    return words.sentence("Since %(since)s the account is disconnected", since=since)


def of_calendar(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """The calendar is not mirrored, waits for a person, or its last passes have failed."""
    calendar = facts.calendar
    email, why = calendar.account.email, words.unended(calendar.message)
    if calendar.removed:
        step = f"watcher calendars add {email} {calendar.google_id}"
        text = words.sentence("This calendar is no longer mirrored.")
        return Wait(Verdict.BLOCKED, text, step)
    if calendar.state == states.CalendarState.HELD and facts.decided.cancels:
        text = words.sentence(
            "Cancellations of this calendar wait to be confirmed: %(why)s.", why=why
        )
        return Wait(Verdict.BLOCKED, text, calendar.step)
    if not calendar.failures:
        return None
    text = words.counted(
        "Syncing this calendar has failed once, since %(since)s: %(why)s (%(cause)s).",
        "Syncing this calendar has failed %(n)s times in a row, since %(since)s: %(why)s "
        "(%(cause)s).",
        calendar.failures,
        since=clock.at(calendar.since),
        why=why,
        cause=words.code(calendar.cause),
    )
    return Wait(
        Verdict.BLOCKED, words.joined(" ", text, again(calendar.retry_at, clock)), calendar.step
    )


def again(at: datetime | None, clock: words.Clock) -> str:
    """When it is tried again by itself; empty where it is not."""
    return words.sentence("It is tried again at %(when)s.", when=clock.at(at)) if at else ""


def polled(calendar: told.CalendarTold, clock: words.Clock) -> str:
    at = calendar.next_poll_at
    return words.sentence("It is polled next by %(when)s.", when=clock.at(at)) if at else ""


def _of_worker(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    calendar = facts.calendar
    if calendar.is_read_now:
        text = words.sentence("A worker is reading this calendar just now.")
        return Wait(Verdict.WAITING, text)
    if not calendar.owes:
        return None
    text = words.sentence("A change of this calendar waits for a worker.")
    if calendar.waits_since:
        text = words.sentence(
            "A change of this calendar waits for a worker since %(since)s.",
            since=clock.at(calendar.waits_since),
        )
    step = ""
    if calendar.status == states.CalendarStatus.DELAYED:
        step = words.sentence("see that `watcher up` (or `watcher worker`) runs")
    return Wait(Verdict.WAITING, text, step)


def _of_settings(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """The settings have changed since the calendar was read as a whole."""
    basis = facts.basis
    known = isinstance(facts.erpnext, gathered.InErpnext) and basis.work.policy_fingerprint
    if not known or basis.work.policy_fingerprint == basis.policy:
        return None
    changed = words.sentence(
        "The settings that decide what is mirrored have changed: the calendar is read as a whole "
        "with the next poll."
    )
    text = words.joined(" ", changed, polled(facts.calendar, clock))
    return Wait(Verdict.WAITING, text, f"watcher resync {facts.calendar.account.email}")


def _of_person(facts: gathered.Facts, clock: words.Clock) -> Wait | None:
    """Watcher has read the calendar since Google's last change, so what differs was changed in
    ERPNext."""
    calendar, row = facts.calendar, facts.row
    by_others = row is not None and row.modified_by.lower() != facts.basis.api_user.lower()
    # Google does not say when an event was deleted.
    if not facts.was_read and (facts.changed_at is not None or not by_others):
        return None
    if facts.decided.creates:
        text, mended = _lost(facts), _by_full_sync(calendar, clock)
    elif row is not None and by_others:
        text, mended = _written(facts, clock), _by_poll(calendar, clock)
    else:
        text = words.sentence("The calendar was read since Google's last change.")
        mended = _by_full_sync(calendar, clock)
    step = f"watcher resync {calendar.account.email}"
    return Wait(Verdict.DIFFERS, words.joined(" ", text, mended), step)


def _lost(facts: gathered.Facts) -> str:
    deletion = facts.erpnext.deletion if isinstance(facts.erpnext, gathered.InErpnext) else None
    if deletion is None:
        return words.sentence("Its row is missing in ERPNext although the calendar was read since.")
    return words.sentence(
        "%(row)s was deleted in ERPNext by %(who)s.", row=deletion.name, who=deletion.by
    )


def _written(facts: gathered.Facts, clock: words.Clock) -> str:
    row = facts.row
    assert row is not None
    return words.sentence(
        "%(who)s has written %(row)s in ERPNext at %(when)s.",
        who=row.modified_by,
        row=row.name,
        when=clock.site(row.modified, facts.basis.rules.site_zone),
    )


def _by_full_sync(calendar: told.CalendarTold, clock: words.Clock) -> str:
    at = calendar.next_reconcile_at
    if at is None:
        return words.sentence("The daily full sync of the calendar puts it right.")
    return words.sentence(
        "The next full sync of the calendar, by %(when)s, puts it right.", when=clock.at(at)
    )


def _by_poll(calendar: told.CalendarTold, clock: words.Clock) -> str:
    at = calendar.next_poll_at
    if at is None:
        return words.sentence("The next poll puts it right.")
    return words.sentence("The next poll, by %(when)s, puts it right.", when=clock.at(at))


def _unheard(facts: gathered.Facts, clock: words.Clock) -> Wait:
    calendar = facts.calendar
    step = _reach(calendar) if calendar.push_supported is not False else ""
    text = words.sentence("Watcher has not read this calendar since the change.")
    return Wait(Verdict.WAITING, words.joined(" ", text, polled(calendar, clock)), step)


def _reach(calendar: told.CalendarTold) -> str:
    """What helps where Google tells nothing by itself."""
    if calendar.channel is None:
        return f"watcher channels renew {calendar.account.email}"
    if not calendar.channel.is_silent:
        return ""
    return words.sentence("watcher doctor (whether Google reaches Watcher)")
