"""The facts of one event as sentences, each with its source. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from watcher.events import model
from watcher.explain import gathered, waiting_for, words
from watcher.explain.answers import Said

WHY = {
    "push": words.sentence("after a push"),
    "poll": words.sentence("by a poll"),
    "reconcile": words.sentence("by the daily full sync"),
    "resync": words.sentence("by `watcher resync`"),
    "retry": words.sentence("by `watcher queue retry`"),
    "channel": words.sentence("when a channel was opened"),
    "added": words.sentence("when it was connected"),
    "connect": words.sentence("when it was connected"),
    "policy": words.sentence("after a setting was changed"),
    "refused": words.sentence("to try again what was set aside"),
    "unanswered": words.sentence("after a write that ERPNext did not answer"),
    "touched": words.sentence("after somebody had written rows in ERPNext"),
}
BY_A_WORKER = words.sentence("by a worker")
ANSWERS = {
    "accepted": words.sentence("accepted"),
    "declined": words.sentence("declined"),
    "needsAction": words.coded("needsAction", words.sentence("none yet")),
    "tentative": words.coded("tentative", words.sentence("maybe")),
}
"""To an invitation, by Google's word."""
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
        yield words.sentence("Not known: %(why)s.", why=google.message)
    elif google.hides_calendar:
        yield words.sentence(
            "Google does not show the calendar to the employee: %(why)s.",
            why=words.unended(google.hides_calendar),
        )
    elif google.unreadable:
        yield words.sentence(
            "Google holds it, and it cannot be read: %(why)s.",
            why=words.unended(google.unreadable),
        )
    elif google.event is None:
        yield words.sentence(
            "Google does not know an event of this id in this calendar: it was deleted long ago, "
            "or it belongs to another calendar."
        )
    else:
        yield _stands(google.event, clock)
        yield from _event(facts, google, clock)


def _stands(event: model.GoogleEvent, clock: words.Clock) -> str:
    if event.updated is None:
        if event.is_cancelled:
            return words.sentence("It is deleted or cancelled there.")
        return words.sentence("It is there.")
    when = clock.at(event.updated)
    if event.is_cancelled:
        return words.sentence("It is deleted or cancelled there, last changed %(when)s.", when=when)
    return words.sentence("It is there, last changed %(when)s.", when=when)


def _event(facts: gathered.Facts, google: gathered.AtGoogle, clock: words.Clock) -> Iterator[str]:
    event = google.event
    if event is None:
        return
    if event.is_master:
        yield words.counted(
            "It is a series, with %(n)s instance in the mirrored window.",
            "It is a series, with %(n)s instances in the mirrored window.",
            len(google.instances),
        )
    if event.recurring_event_id:
        yield words.sentence(
            "It is one instance of the series %(series)s.", series=event.recurring_event_id
        )
    if moved := words.moved_from(facts, clock):
        yield words.sentence("It was moved: by its series it would begin %(when)s.", when=moved)
    if event.visibility == "private":
        yield words.sentence("It is private there.")
    elif event.visibility == "confidential":
        yield words.sentence("It is confidential there.")
    if event.own_response:
        yield words.sentence(
            "The employee's answer to the invitation: %(answer)s.",
            answer=ANSWERS.get(event.own_response) or words.Given(event.own_response),
        )


# --- the ledger -----------------------------------------------------------------------------


def of_ledger(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    for find in (waiting_for.of_account, waiting_for.of_calendar):
        trouble = find(facts, clock)
        if trouble is not None:
            yield trouble.text
    if facts.calendar.account.is_active and not facts.calendar.removed:
        yield _heard(facts, clock)
    yield _read(facts, clock)
    if facts.aside is not None:
        yield _set_aside(facts, clock)


def _set_aside(facts: gathered.Facts, clock: words.Clock) -> str:
    aside = facts.aside
    assert aside is not None
    text = words.counted(
        "Set aside since %(since)s, tried once, last %(last)s: %(why)s (%(cause)s).",
        "Set aside since %(since)s, tried %(n)s times, last %(last)s: %(why)s (%(cause)s).",
        aside.attempts,
        since=clock.at(aside.first_at),
        last=clock.at(aside.last_at),
        why=words.unended(aside.message),
        cause=words.code(aside.cause or aside.kind),
    )
    if aside.next_try_at is None:
        again = words.sentence("It is tried again when it changes in Google.")
    else:
        again = words.sentence(
            "It is tried again by itself at %(when)s.", when=clock.at(aside.next_try_at)
        )
    return words.joined(" ", text, again)


def _heard(facts: gathered.Facts, clock: words.Clock) -> str:
    """What Google has told by itself."""
    calendar, changed = facts.calendar, facts.changed_at
    polled = waiting_for.polled(calendar, clock)
    if calendar.push_supported is False:
        text = words.sentence("Heard: Google sends no pushes for this calendar.")
        return words.joined(" ", text, polled)
    if calendar.channel is None:
        text = words.sentence("Heard: no channel is open, so that Google sends no pushes.")
        return words.joined(" ", text, polled)
    last = calendar.channel.last_message_at
    if last is None:
        text = words.sentence(
            "Heard: nothing came through the channel since it was opened %(when)s, not even "
            "Google's first message: Google does not reach Watcher, or not yet.",
            when=clock.at(calendar.channel.opened_at),
        )
        return words.joined(" ", text, polled)
    if changed is not None and last < changed and not calendar.owes:
        text = words.sentence(
            "Heard: no push since the last change, the last push for this calendar came %(when)s.",
            when=clock.at(last),
        )
        return words.joined(" ", text, polled)
    return words.sentence(
        "Heard: the last push for this calendar came %(when)s.", when=clock.at(last)
    )


def _read(facts: gathered.Facts, clock: words.Clock) -> str:
    read, calendar = facts.read_since, facts.calendar
    if read is not None:
        return words.sentence(
            "Read: the first time after the last change %(when)s, %(why)s; %(created)s made, "
            "%(updated)s changed, %(cancelled)s cancelled in ERPNext.",
            when=clock.at(read.at),
            why=WHY.get(read.reason, BY_A_WORKER),
            created=read.created,
            updated=read.updated,
            cancelled=read.cancelled,
        )
    if calendar.last_success_at is None:
        return words.sentence("Read: this calendar has not been read yet.")
    return words.sentence(
        "Read: this calendar was last read %(when)s.", when=clock.at(calendar.last_success_at)
    )


# --- what is decided ------------------------------------------------------------------------


def _rules(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    event, mapped, decided = facts.event, facts.decided.mapped, facts.decided
    if decided.unmappable and not isinstance(facts.google, gathered.AtGoogle):
        yield words.sentence(
            "ERPNext cannot hold it: %(why)s.", why=words.unended(decided.unmappable)
        )
    if event is None or event.is_cancelled:
        return
    if isinstance(mapped, model.Skipped):
        yield words.sentence(
            "Decided: not mirrored; %(why)s.", why=words.left_out(facts, mapped.reason, clock)
        )
    elif decided.outside:
        yield words.sentence(
            "Decided: not mirrored now, because it lies outside the mirrored window, which is from "
            "%(begin)s to %(end)s.",
            begin=clock.at(facts.basis.window.start),
            end=clock.at(words.window_end(facts)),
        )
    elif isinstance(mapped, model.ErpEvent):
        yield _mirrored(mapped)


def _mirrored(mapped: model.ErpEvent) -> str:
    if mapped.masked:
        return words.sentence(
            'Decided: mirrored as "%(title)s" without its title and texts, because it is private '
            "(WATCHER_PRIVATE_EVENTS=busy).",
            title=words.Given(mapped.subject),
        )
    if mapped.event_type == "Private":
        return words.sentence("Decided: mirrored, as an event of the type Private.")
    return words.sentence("Decided: mirrored, as an event of the type Public.")


# --- ERPNext --------------------------------------------------------------------------------


def _erpnext(facts: gathered.Facts, clock: words.Clock) -> Iterator[str]:
    erpnext = facts.erpnext
    if not isinstance(erpnext, gathered.InErpnext):
        yield words.sentence("Not known: %(why)s.", why=erpnext.message)
        return
    row, zone = erpnext.row, facts.basis.rules.site_zone
    if row is not None:
        yield words.sentence(
            "%(row)s is there, status %(status)s, last written %(when)s by %(who)s.",
            row=row.name,
            status=words.status_of(row),
            when=clock.site(row.modified[:19], zone),
            who=row.modified_by,
        )
        if facts.decided.differs:
            yield words.sentence(
                "%(row)s differs from Google in: %(what)s.",
                row=row.name,
                what=facts.decided.differs,
            )
    elif not erpnext.of_series:
        yield words.sentence("There is no row of this event in this calendar.")
    if erpnext.of_series:
        yield _of_series(erpnext)
    if erpnext.deletion is not None:
        lost = erpnext.deletion
        yield words.sentence(
            "%(row)s was deleted %(when)s by %(who)s.",
            row=lost.name,
            when=clock.site(lost.at, zone),
            who=lost.by,
        )
    yield from _elsewhere(erpnext)


def _of_series(erpnext: gathered.InErpnext) -> str:
    live = sum(not row.is_cancelled for row in erpnext.of_series)
    return words.counted(
        "%(n)s live row of its instances is there, and %(gone)s cancelled.",
        "%(n)s live rows of its instances are there, and %(gone)s cancelled.",
        live,
        gone=len(erpnext.of_series) - live,
    )


def _elsewhere(erpnext: gathered.InErpnext) -> Iterator[str]:
    """The same event in colleagues' calendars: each calendar has a row of its own."""
    rows = [row for row in erpnext.elsewhere if not row.is_cancelled]
    if not rows:
        return
    named = words.joined(", ", *(_row_of(row) for row in rows[:MOST_ELSEWHERE]))
    if len(rows) <= MOST_ELSEWHERE:
        yield words.sentence(
            "The same event stands in other mirrored calendars too, each with a row of its own: "
            "%(rows)s.",
            rows=named,
        )
    else:
        yield words.counted(
            "The same event stands in other mirrored calendars too, each with a row of its own: "
            "%(rows)s and %(n)s more.",
            "The same event stands in other mirrored calendars too, each with a row of its own: "
            "%(rows)s and %(n)s more.",
            len(rows) - MOST_ELSEWHERE,
            rows=named,
        )


def _row_of(row: model.Row) -> str:
    whose = (row.owner_ids or ("",))[0] or words.sentence("nobody")
    return words.sentence("%(row)s (%(email)s)", row=row.name, email=whose)
