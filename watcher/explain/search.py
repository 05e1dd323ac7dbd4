"""Which event is meant: looked for in the ledger, in ERPNext and at Google, with a bounded number
of calls. ``explain`` is the one function of this room that others call."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from watcher.erpnext.deletions import Deletion, last_deletion
from watcher.events.model import Row
from watcher.explain import question
from watcher.explain.answers import Answer, Report, Verdict
from watcher.explain.by_person import by_person
from watcher.explain.gather import at_google, read_item
from watcher.explain.gathered import Silence
from watcher.explain.hunt import Hunt
from watcher.google.client import CalendarClient
from watcher.languages.sentence import counted, sentence
from watcher.ledger import told
from watcher.ledger.told import CalendarTold
from watcher.services import Services

MOST_ASKED: Final = 20
"""So many calendars are asked for an event of which nothing says in which one it is."""


def explain(services: Services, text: str, seconds: float = 25.0) -> Report:
    """What can be told of the event that ``text`` asks for: see ``question``. Both sides are asked
    now, for so many ``seconds`` at the most, and nothing is changed. Raises ``UserError`` for what
    is no question, ``LedgerAway``."""
    asked = question.read(text, services.clock().date())
    hunt = Hunt.begin(services, seconds)
    if isinstance(asked, question.ByEvent):
        _by_event(hunt, asked)
    elif isinstance(asked, question.ByName):
        _by_name(hunt, asked)
    else:
        by_person(hunt, asked)
    return hunt.report()


def _by_event(hunt: Hunt, asked: question.ByEvent) -> None:
    """The calendar that the link names, those in which the event stands aside or has a row, and
    else all that are mirrored, as far as they are few."""
    calendars = _named(hunt, asked.calendar_id) if asked.calendar_id else _noted(hunt, asked)
    for calendar in calendars:
        hunt.explain_if_known(calendar, asked.event_id)
    if hunt.answers:
        return
    if asked.calendar_id:
        _elsewhere(hunt, asked, is_connected=bool(calendars))
        return
    for row in hunt.rows_of(asked.event_id)[:1]:
        _of_row(hunt, row)
    if not hunt.answers:
        _by_own_name(hunt, asked.text)
    if not hunt.answers:
        _ask_all(hunt, asked.event_id)


def _by_own_name(hunt: Hunt, text: str) -> None:
    """A site may name its Events otherwise than Frappe does."""
    mirror = hunt.mirror()
    if isinstance(mirror, Silence):
        return
    row = hunt.asking.ask("erpnext", partial(mirror.named, text))
    hunt.looked("erpnext", sentence("ERPNext, for an Event of this name"))
    if isinstance(row, Row):
        _of_row(hunt, row)


def _named(hunt: Hunt, calendar_id: str) -> list[CalendarTold]:
    with hunt.asking.services.db.reading() as session:
        pairs = told.of_address(session, calendar_id)
    hunt.searched.append(
        sentence("the ledger, for the calendar %(calendar)s", calendar=calendar_id)
    )
    return hunt.told(pairs)


def _noted(hunt: Hunt, asked: question.ByEvent) -> list[CalendarTold]:
    with hunt.asking.services.db.reading() as session:
        pairs = told.of_calendars(session, told.setting_aside(session, asked.event_id))
    found = hunt.told(pairs)
    hunt.searched.append(sentence("the ledger, for events that were set aside"))
    rows = hunt.rows_of(asked.event_id)
    hunt.looked("erpnext", sentence("ERPNext, for rows of this event"))
    owners = [row.owner_ids for row in rows if row.owner_ids is not None]
    known = {calendar.id for calendar in found}
    return [*found, *(each for each in hunt.of_owners(owners) if each.id not in known)]


def _elsewhere(hunt: Hunt, asked: question.ByEvent, *, is_connected: bool) -> None:
    """The same event may stand in a colleague's calendar."""
    hunt.looked("erpnext", sentence("ERPNext, for rows of this event from other calendars"))
    for row in hunt.rows_of(asked.event_id):
        for calendar in hunt.of_owners([row.owner_ids] if row.owner_ids else []):
            hunt.explain(calendar, row.event_id)
    if not hunt.answers and not is_connected:
        hunt.sentence = sentence(
            "The calendar %(calendar)s is not mirrored: nobody who is connected has it.",
            calendar=asked.calendar_id,
        )
        step = sentence(
            "connect the employee (watcher accounts invite EMAIL) or the calendar (watcher "
            "calendars add EMAIL %(calendar)s)",
            calendar=asked.calendar_id,
        )
        hunt.steps.append(step)


def _ask_all(hunt: Hunt, event_id: str) -> None:
    with hunt.asking.services.db.reading() as session:
        pairs, count = told.mirrored(session, MOST_ASKED)
    for calendar in hunt.told(pairs):
        google_id = calendar.google_id
        item = hunt.asking.google(calendar, partial(_event, google_id, event_id))
        if item is None or isinstance(item, Silence):
            continue
        on = hunt.ground(calendar)
        is_series = bool(item.get("recurrence"))
        google = at_google(hunt.asking, on, event_id) if is_series else read_item(on, item)
        hunt.explain(calendar, event_id, google)
    asked = counted(
        "Google, in %(asked)s of %(n)s mirrored calendar",
        "Google, in %(asked)s of %(n)s mirrored calendars",
        count,
        asked=len(pairs),
    )
    hunt.looked("google", asked)
    if len(pairs) < count:
        step = sentence("name the employee as well: watcher explain EMAIL %(id)s", id=event_id)
        hunt.steps.append(step)


def _event(google_id: str, event_id: str, google: CalendarClient) -> dict[str, Any] | None:
    return google.event(google_id, event_id)


# --- by ERPNext's name ----------------------------------------------------------------------


def _by_name(hunt: Hunt, asked: question.ByName) -> None:
    mirror = hunt.mirror()
    if isinstance(mirror, Silence):
        return
    row = hunt.asking.ask("erpnext", partial(mirror.named, asked.name))
    hunt.looked("erpnext", sentence("ERPNext, for the Event %(row)s", row=asked.name))
    if isinstance(row, Row):
        _of_row(hunt, row)
    elif row is None:
        _of_deleted(hunt, asked.name)


def _of_row(hunt: Hunt, row: Row) -> None:
    if not row.event_id:
        text = sentence(
            "%(row)s was made in ERPNext, not by Watcher; %(who)s has last written it.",
            row=row.name,
            who=row.modified_by,
        )
        _not_mirrored(hunt, row.name, text)
        return
    calendars = hunt.of_owners([row.owner_ids] if row.owner_ids else [])
    for calendar in calendars:
        hunt.explain(calendar, row.event_id)
    if not calendars:
        account, calendar_id = row.owner_ids or ("", "")
        text = sentence(
            "%(row)s came from the calendar %(calendar)s of %(email)s, which Watcher does not "
            "know (any more): nothing keeps it current.",
            row=row.name,
            calendar=calendar_id,
            email=account,
        )
        _not_mirrored(hunt, row.name, text)


def _of_deleted(hunt: Hunt, name: str) -> None:
    client = hunt.asking.services.erpnext
    found = hunt.asking.ask("erpnext", lambda: last_deletion(client, name=name))
    hunt.looked("erpnext", sentence("ERPNext's deleted documents"))
    if not isinstance(found, Deletion):
        return
    calendars = hunt.of_owners([found.owner_ids]) if found.event_id else []
    for calendar in calendars:
        hunt.explain(calendar, found.event_id)
    if not calendars:
        text = sentence(
            "%(row)s was deleted %(when)s by %(who)s; it was not mirrored from a known calendar.",
            row=name,
            when=hunt.clock.site(found.at, hunt.clock.zone),
            who=found.by,
        )
        _not_mirrored(hunt, name, text)


def _not_mirrored(hunt: Hunt, name: str, text: str) -> None:
    hunt.answers.append(
        Answer(
            verdict=Verdict.NOT_MIRRORED,
            headline=text,
            what=sentence("Event %(id)s", id=name),
            erpnext=name,
        )
    )
