"""An employee's event is looked for by words of its title, or by its day.

Titles that an admin may not learn are not searched: whether one holds a word would tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from watcher.events import times
from watcher.events.mapping import data_id
from watcher.events.model import GoogleEvent, MappingRules, Row, Window
from watcher.events.window import in_window
from watcher.explain import gather, gathered
from watcher.explain.answers import Answer, Verdict
from watcher.explain.hunt import Hunt
from watcher.explain.privacy import may_show_times, may_show_title, title_of
from watcher.explain.question import ByPerson
from watcher.explain.waiting_for import account_wait
from watcher.google.client import CalendarClient
from watcher.languages.sentence import sentence
from watcher.ledger import accounts, told

AROUND: Final = timedelta(days=60)
"""So much on both sides of the mirrored window is looked through as well."""
MOST_PAGES: Final = 2
MOST_ROWS: Final = 20
LONG: Final = 20
"""A word of so many characters is taken for an event's id first."""

Found = tuple[GoogleEvent, gathered.AtGoogle]


def by_person(hunt: Hunt, asked: ByPerson) -> None:
    services = hunt.asking.services
    with services.db.reading() as session:
        row = accounts.find(session, asked.email)
        account = told.account(session, row) if row is not None else None
        pairs = told.of_account(session, asked.email)
    hunt.searched.append(sentence("the ledger, for the account %(email)s", email=asked.email))
    if account is None:
        hunt.sentence = sentence("%(email)s is not connected to Watcher.", email=asked.email)
        hunt.steps.append(f"watcher accounts invite {asked.email}")
        return
    if not account.is_active:
        _not_active(hunt, account)
        return
    if not pairs:
        hunt.sentence = sentence("No calendar of %(email)s is mirrored.", email=asked.email)
        hunt.steps.append(f"watcher calendars add {asked.email} ID")
    calendars = hunt.told(pairs)
    if len(asked.id_in_it) >= LONG:
        _as_id(hunt, calendars, asked.id_in_it)
    for calendar in calendars if not hunt.answers else ():
        _in_calendar(hunt, calendar, asked)
    if not hunt.answers and asked.words:
        _among_rows(hunt, asked)
    if not hunt.answers and 0 < len(asked.id_in_it) < LONG:
        _as_id(hunt, calendars, asked.id_in_it)


def _not_active(hunt: Hunt, account: told.AccountTold) -> None:
    wait = account_wait(account, hunt.clock)
    if wait is not None:
        answer = Answer(
            verdict=Verdict.BLOCKED,
            headline=wait.text,
            what=sentence("the calendars of %(email)s", email=account.email),
            steps=tuple(filter(None, [wait.step])),
            account=account.email,
        )
        hunt.answers.append(answer)


# --- at Google ------------------------------------------------------------------------------


def _in_calendar(hunt: Hunt, calendar: told.CalendarTold, asked: ByPerson) -> None:
    on = hunt.ground(calendar)
    span = _span(on, asked)
    found = _listed(hunt, on, asked, span)
    hunt.looked("google", _looked_through(hunt, on, asked, span))
    if not found and asked.words and asked.day is None:
        found = _anywhere(hunt, on, asked)
        anywhere = sentence(
            "Google, in the calendar %(calendar)s at any time, by Google's own search",
            calendar=calendar.google_id,
        )
        hunt.looked("google", anywhere)
    for event, google in found:
        is_series = event.is_master
        said = gather.at_google(hunt.asking, on, event.id) if is_series else google
        hunt.explain(calendar, event.id, said)


def _looked_through(hunt: Hunt, on: gather.Ground, asked: ByPerson, span: Window) -> str:
    where = sentence(
        "Google, in the calendar %(calendar)s from %(begin)s to %(end)s",
        calendar=on.calendar.google_id,
        begin=hunt.clock.on(span.start),
        end=hunt.clock.on(span.end),
    )
    if not asked.words:
        return where
    return sentence("%(where)s (not the titles of private events)", where=where)


def _span(on: gather.Ground, asked: ByPerson) -> Window:
    """The day that was asked for, in the calendar's zone; else the mirrored window and what lies
    around it."""
    if asked.day is None:
        window = on.basis.window
        return Window(start=window.start - AROUND, end=window.end + AROUND)
    day = asked.day.on(on.basis.now.astimezone(on.zone).date())
    return Window(
        start=times.midnight(day, on.zone), end=times.midnight(times.day_after(day), on.zone)
    )


def _listed(hunt: Hunt, on: gather.Ground, asked: ByPerson, span: Window) -> list[Found]:
    google_id = on.calendar.google_id

    def pages(google: CalendarClient) -> list[dict[str, Any]]:
        each = zip(range(MOST_PAGES), google.snapshot(google_id, span), strict=False)
        return [item for _, page in each for item in page.items]

    items = hunt.asking.google(on.calendar, pages)
    if isinstance(items, gathered.Silence):
        hunt.tell_of_calendar(on, items)
        return []
    found = _fitting(on, items, asked)
    inside = [each for each in found if _is_inside(each[0], span, on)]
    return _one_of_each_series(on, inside)


def _anywhere(hunt: Hunt, on: gather.Ground, asked: ByPerson) -> list[Found]:
    google_id, words = on.calendar.google_id, " ".join(asked.words)
    items = hunt.asking.google(on.calendar, lambda google: google.find(google_id, words))
    return [] if isinstance(items, gathered.Silence) else _fitting(on, items, asked)


def _fitting(on: gather.Ground, items: Iterable[dict[str, Any]], asked: ByPerson) -> list[Found]:
    read = [gather.read_item(on, item) for item in items]
    found = [(event, google) for google in read if (event := google.event or google.named)]
    wanted = [word.casefold() for word in asked.words]
    return [each for each in found if _fits(each[0], wanted, on.basis.rules)]


def _fits(event: GoogleEvent, wanted: Sequence[str], rules: MappingRules) -> bool:
    """Where nothing of private events reaches ERPNext, not even that there is one is told."""
    if event.is_cancelled or not may_show_times(event, rules):
        return False
    if not wanted:
        return True
    title = title_of(event, rules.default_event_type)
    return title is not None and all(word in title.casefold() for word in wanted)


def _is_inside(event: GoogleEvent, span: Window, on: gather.Ground) -> bool:
    """What has no time that can be read is where Google lists it."""
    return event.start is None or in_window(event.start, event.end or event.start, span, on.zone)


def _one_of_each_series(on: gather.Ground, found: Sequence[Found]) -> list[Found]:
    """Of each series the next instance, or the last one; what is nearest to now comes first."""
    now = on.basis.now
    chosen: dict[str, Found] = {}
    for each in sorted(found, key=lambda each: _begins(each[0], on)):
        event = each[0]
        series = event.recurring_event_id or event.id
        before = chosen.get(series)
        if before is None or _begins(before[0], on) < now:
            chosen[series] = each
    return sorted(chosen.values(), key=lambda each: abs(_begins(each[0], on) - now))


def _begins(event: GoogleEvent, on: gather.Ground) -> datetime:
    return times.bounds(event.start, event.start, on.zone)[0] if event.start else times.EARLIEST


def _as_id(hunt: Hunt, calendars: Sequence[told.CalendarTold], event_id: str) -> None:
    """The one word may have been meant as an event's id."""
    for calendar in calendars:
        hunt.explain_if_known(calendar, event_id)


# --- in ERPNext -----------------------------------------------------------------------------


def _among_rows(hunt: Hunt, asked: ByPerson) -> None:
    """Rows of events that Google no longer lists. Only titles that every desk user may read are
    looked at, and nothing is told of an event that has become private meanwhile."""
    mirror = hunt.mirror()
    if isinstance(mirror, gathered.Silence):
        return
    longest = max(asked.words, key=len)
    account = data_id(asked.email)
    rows = hunt.asking.ask("erpnext", partial(mirror.titled, account, longest, MOST_ROWS))
    looked = sentence(
        "ERPNext, for rows of %(email)s with these words in the title", email=asked.email
    )
    hunt.looked("erpnext", looked)
    fitting = (
        [] if isinstance(rows, gathered.Silence) else [row for row in rows if _has(row, asked)]
    )
    series = {row.recurring_event_id or row.event_id: row for row in fitting if row.event_id}
    for row in series.values():
        for calendar in hunt.of_owners([row.owner_ids] if row.owner_ids else []):
            _of_row(hunt, calendar, row.event_id)


def _has(row: Row, asked: ByPerson) -> bool:
    return all(word.casefold() in row.subject.casefold() for word in asked.words)


def _of_row(hunt: Hunt, calendar: told.CalendarTold, event_id: str) -> None:
    on = hunt.ground(calendar)
    google = gather.at_google(hunt.asking, on, event_id)
    if isinstance(google, gathered.Silence):
        return
    if google.event is None or may_show_title(google.event, on.basis.rules.default_event_type):
        hunt.explain(calendar, event_id, google)
