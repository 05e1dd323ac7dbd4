"""The facts of one event as sentences, each with its source. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from watcher.events import model
from watcher.explain import gathered, waiting_for, words
from watcher.explain.answers import Said

WHY = {
    "push": "after a push",
    "poll": "by a poll",
    "reconcile": "by the daily full sync",
    "resync": "by `watcher resync`",
    "retry": "by `watcher queue retry`",
    "channel": "when a channel was opened",
    "added": "when it was connected",
    "connect": "when it was connected",
    "policy": "after a setting was changed",
    "refused": "to try again what was set aside",
    "unanswered": "after a write that ERPNext did not answer",
    "touched": "after somebody had written rows in ERPNext",
}
MOST_ELSEWHERE = 5


def facts_in_words(facts: gathered.Facts, clock: words.Clock) -> Iterator[Said]:
    for text in _google(facts, clock):
        yield Said("Google now", text)
    for text in of_ledger(facts, clock):
        yield Said("ledger", text)
    for text in _rules(facts, clock):
        yield Said("rules", text)
    for text in _erpnext(facts, clock):
        yield Said("ERPNext now", text)


# --- Google ---------------------------------------------------------------------------------


def _google(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    google = facts.google
    if not isinstance(google, gathered.AtGoogle):
        yield f"Not known: {google.message}."
    elif google.hides_calendar:
        yield f"Google does not show the calendar to the employee: {google.hides_calendar}."
    elif google.unreadable:
        yield f"Google holds it, and it cannot be read: {google.unreadable}."
    elif google.event is None:
        yield (
            "Google does not know an event of this id in this calendar: it was deleted long ago, "
            "or it belongs to another calendar."
        )
    else:
        yield from _event(facts, google, clock)


def _event(facts: gathered.Facts, google: gathered.AtGoogle, clock: words.Clock) -> Iterator[str]:
    event = google.event
    if event is None:
        return
    word = "It is deleted or cancelled there" if event.is_cancelled else "It is there"
    yield f"{word}, last changed {clock.at(event.updated)}." if event.updated else f"{word}."
    if event.is_master:
        yield f"It is a series, with {len(google.instances)} instances in the mirrored window."
    if event.recurring_event_id:
        yield f"It is one instance of the series {event.recurring_event_id}."
    if moved := words.moved_from(facts, clock):
        yield f"It was moved: by its series it would begin {moved}."
    if event.visibility not in ("default", "public"):
        yield f"It is {event.visibility} there."
    if event.own_response:
        yield f"The employee's answer to the invitation: {event.own_response}."


# --- the ledger -----------------------------------------------------------------------------


def of_ledger(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    for find in (waiting_for.of_account, waiting_for.of_calendar):
        trouble = find(facts, clock)
        if trouble is not None:
            yield trouble.text
    if facts.calendar.account.is_active and not facts.calendar.removed:
        yield _heard(facts, clock)
    yield _read(facts, clock)
    aside = facts.aside
    if aside is not None:
        tries = f"{aside.attempts} times" if aside.attempts > 1 else "once"
        again = f"It is tried again by itself at {clock.at(aside.next_try_at)}."
        yield (
            f"Set aside since {clock.at(aside.first_at)}, tried {tries}, last "
            f"{clock.at(aside.last_at)}: {aside.message} ({aside.cause or aside.kind}). "
            f"{again if aside.next_try_at else 'It is tried again when it changes in Google.'}"
        )


def _heard(facts: gathered.Facts, clock: words.Clock) -> str:
    """What Google has told by itself."""
    calendar, changed = facts.calendar, facts.changed_at
    poll = calendar.next_poll_at
    later = f"; it is polled next by {clock.at(poll)}" if poll else ""
    if calendar.push_supported is False:
        return f"Heard: Google sends no pushes for this calendar{later}."
    if calendar.channel is None:
        return f"Heard: no channel is open, so that Google sends no pushes{later}."
    last = calendar.channel.last_message_at
    if last is None:
        opened = clock.at(calendar.channel.opened_at)
        return (
            f"Heard: nothing came through the channel since it was opened {opened}, not even "
            f"Google's first message: Google does not reach Watcher, or not yet{later}."
        )
    came = f"the last push for this calendar came {clock.at(last)}"
    if changed is not None and last < changed and not calendar.owes:
        return f"Heard: no push since the last change, {came}{later}."
    return f"Heard: {came}."


def _read(facts: gathered.Facts, clock: words.Clock) -> str:
    read, calendar = facts.read_since, facts.calendar
    if read is not None:
        why = WHY.get(read.reason, "by a worker")
        return (
            f"Read: the first time after the last change {clock.at(read.at)}, {why}; "
            f"{read.created} made, {read.updated} changed, {read.cancelled} cancelled in ERPNext."
        )
    if calendar.last_success_at is None:
        return "Read: this calendar has not been read yet."
    return f"Read: this calendar was last read {clock.at(calendar.last_success_at)}."


# --- what is decided ------------------------------------------------------------------------


def _rules(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    event, mapped, decided = facts.event, facts.decided.mapped, facts.decided
    window = facts.basis.window
    if decided.unmappable and not isinstance(facts.google, gathered.AtGoogle):
        yield f"ERPNext cannot hold it: {decided.unmappable}."
    if event is None or event.is_cancelled:
        return
    if isinstance(mapped, model.Skipped):
        yield f"Decided: not mirrored, because {words.left_out(facts, mapped.reason, clock)}."
    elif decided.outside:
        yield (
            "Decided: not mirrored now, because it lies outside the mirrored window, which is from "
            f"{clock.at(window.start)} to {clock.at(words.window_end(facts))}."
        )
    elif isinstance(mapped, model.ErpEvent) and mapped.masked:
        yield (
            f'Decided: mirrored as "{mapped.subject}" without its title and texts, because it is '
            "private (WATCHER_PRIVATE_EVENTS=busy)."
        )
    elif isinstance(mapped, model.ErpEvent):
        yield f"Decided: mirrored, as an event of the type {mapped.event_type}."


# --- ERPNext --------------------------------------------------------------------------------


def _erpnext(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    erpnext = facts.erpnext
    if not isinstance(erpnext, gathered.InErpnext):
        yield f"Not known: {erpnext.message}."
        return
    row, zone = erpnext.row, facts.basis.rules.site_zone
    if row is not None:
        status = words.STATUSES.get(row.status, row.status)
        written = f"last written {clock.site(row.modified[:19], zone)} by {row.modified_by}"
        yield f"{row.name} is there, status {status}, {written}."
        if facts.decided.differs:
            yield f"{row.name} differs from Google in: {facts.decided.differs}."
    elif not erpnext.of_series:
        yield "There is no row of this event in this calendar."
    if erpnext.of_series:
        live = sum(not row.is_cancelled for row in erpnext.of_series)
        gone = len(erpnext.of_series) - live
        yield f"{live} live rows of its instances are there, and {gone} cancelled ones."
    if erpnext.deletion is not None:
        lost = erpnext.deletion
        yield f"{lost.name} was deleted {clock.site(lost.at, zone)} by {lost.by}."
    yield from _elsewhere(erpnext)


def _elsewhere(erpnext: gathered.InErpnext) -> Iterator[str]:
    """The same event in colleagues' calendars: each calendar has a row of its own."""
    rows = [row for row in erpnext.elsewhere if not row.is_cancelled]
    named = [f"{row.name} ({(row.owner_ids or ('',))[0] or 'nobody'})" for row in rows]
    if named:
        more = f" and {len(named) - MOST_ELSEWHERE} more" if len(named) > MOST_ELSEWHERE else ""
        yield (
            "The same event stands in other mirrored calendars too, each with a row of its own: "
            f"{', '.join(named[:MOST_ELSEWHERE])}{more}."
        )
