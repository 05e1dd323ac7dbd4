"""New and unchanged events: Watcher beside a bare ``insert_many`` of the same documents, and beside
the loop that it replaces.

That loop ran every 30 minutes: for each user it listed the window, 250 events a page, looked each
event up in ERPNext by its id, and inserted it or saved it again. Here it does so over REST. Where
it ran, inside a Frappe bench, it took 11 ms for a new event and 1.6 ms for an unchanged one. The
stand-in takes as long for each request and each document as Frappe did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from benchmarks.company import Company, FrappesTimes, Wanted, settled
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, between
from watcher.accounts.verbs import add_delegated
from watcher.erpnext.client import BATCH
from watcher.erpnext.rows import chunks, new_doc
from watcher.events.model import Create
from watcher.ledger import accounts, calendars, debts, owing
from watcher.services import Services
from watcher.sync.passes import make_pass
from watcher.sync.story import plan_only
from watcher.sync.work import work_off

ID, LISTED = "custom_google_event_id", "custom_synced_from"


def calendar_of(services: Services, email: str) -> int:
    with services.db.reading() as session:
        return calendars.of_account(session, accounts.get(session, email).id)[0].id


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def new_and_unchanged(options: Options) -> Iterator[Figure]:
    """Each round has four new employees with the same number of events: one for each way."""
    events, rounds = options.pick(400, 200, 60), options.rounds(3, 2)
    seen: dict[str, list[float]] = {}
    writes: list[float] = []
    with settled(options, Wanted(employees=4 * rounds, events=events)) as company:
        if company.site is not None:
            company.site.faults = FrappesTimes()
        for turn in range(rounds):
            bare, apply, whole, loop = company.people[4 * turn : 4 * turn + 4]
            for name, taken in _one_round(company, bare, apply, whole, loop).items():
                seen.setdefault(name, []).append(taken)
            writes.append(seen.pop("writes")[0])
    yield from _figures(seen, events)
    yield Figure(what="writes of that listing", values=writes, goal=Goal(limit=0))


def _one_round(company: Company, *people: str) -> dict[str, float]:
    bare, apply, whole, loop = people
    services = company.services
    for email in (bare, apply, whole):
        add_delegated(services, email)
    documents = [new_doc(action.event) for action in _creates(services, bare)]
    actions, mirror = _creates(services, apply), services.mirror()
    number = calendar_of(services, whole)
    services.erpnext.ping()  # on a connection that is open already
    taken = {
        "bare": timed(
            lambda: [services.erpnext.insert_many(each) for each in chunks(documents, BATCH)]
        ),
        "apply": timed(lambda: mirror.apply(actions)),
        "first": timed(lambda: work_off(services, number, "bench")),
        "loop": timed(lambda: _old_loop(company, loop)),
    }
    with services.db.session() as session:
        owing.owe_now(session, [number], "asked", services.clock())
    with _writes_counted(services) as writes:
        taken["again"] = timed(lambda: work_off(services, number, "bench"))
    taken["writes"] = float(len(writes))
    taken["loop again"] = timed(lambda: _old_loop(company, loop))
    return taken


def _creates(services: Services, email: str) -> list[Create]:
    """What a first pass would write for the employee."""
    with services.db.reading() as session:
        work = debts.peek(session, calendar_of(services, email), snapshot=True)
    plan = plan_only(make_pass(services, work, hold=lambda: None))
    return [action for action in plan.actions if isinstance(action, Create)]


@contextmanager
def _writes_counted(services: Services) -> Iterator[list[str]]:
    """Requests that ERPNext is sent from the block, other than reads."""
    reads = (
        "get_list",
        "get_count",
        "get_single_value",
        "ping",
        "get_logged_user",
        "get_time_zone",
    )
    writes: list[str] = []

    def note(answer: requests.Response, *_: Any, **__: Any) -> None:
        name = answer.url.rpartition("/")[2]
        if answer.request.method != "GET" and not name.endswith(reads):
            writes.append(name)

    hooks = services.erpnext.session.hooks
    before, hooks["response"] = hooks["response"], [note]
    try:
        yield writes
    finally:
        hooks["response"] = before


def _old_loop(company: Company, email: str) -> None:
    """One user's turn in the loop that was there before."""
    settings, erpnext = company.services.settings, company.services.erpnext
    now, page = datetime.now(UTC), ""
    url = f"{settings.google_api_url}/calendar/v3/calendars/{email}/events"
    asked: dict[str, Any] = {
        "timeMin": (now - timedelta(days=7)).isoformat(),
        "timeMax": (now + timedelta(days=30)).isoformat(),
        "singleEvents": "true",
        "orderBy": "startTime",
        "maxResults": 250,
    }
    token = company.google.mint_access_token(email)
    with requests.Session() as google:
        google.headers["Authorization"] = f"Bearer {token}"
        while True:
            more = {"pageToken": page} if page else {}
            answer = google.get(url, params=asked | more, timeout=60).json()
            for item in answer["items"]:
                _upsert(erpnext, item, email)
            page = answer.get("nextPageToken", "")
            if not page:
                return


def _upsert(erpnext: Any, item: dict[str, Any], email: str) -> None:
    fields = {
        "doctype": "Event",
        "subject": item.get("summary", ""),
        "starts_on": item["start"]["dateTime"][:19].replace("T", " "),
        "ends_on": item["end"]["dateTime"][:19].replace("T", " "),
        "description": item.get("description", ""),
    }
    found = erpnext.get_list("Event", ["name"], [[ID, "=", item["id"]]], limit_page_length=1)
    if found:
        erpnext.update({**fields, "name": found[0]["name"]})
    else:
        whose = {LISTED: "Google Calendar", "custom_google_account": email}
        erpnext.insert({**fields, "event_type": "Public", ID: item["id"], **whose})


def _figures(seen: dict[str, list[float]], events: int) -> Iterator[Figure]:
    def ratio(above: str, below: str) -> list[float]:
        return [a / b for a, b in zip(seen[above], seen[below], strict=True)]

    def ms(name: str) -> str:
        return between([each * 1000 for each in seen[name]], "ms")

    yield Figure(
        what=f"{events} new events into ERPNext, against a bare `insert_many` of the same",
        values=ratio("apply", "bare"),
        unit="x",
        goal=Goal(limit=1.15, noise=0.1),
        beside=f"bare {ms('bare')}, Watcher {ms('apply')}",
    )
    yield Figure(
        what="the whole first listing of them is faster than the former loop",
        values=ratio("loop", "first"),
        unit="x",
        goal=Goal(limit=2.5, at_least=True, noise=0.1),
        beside=f"the loop over REST {ms('loop')}, Watcher {ms('first')}",
    )
    yield Figure(
        what="a listing of unchanged events is faster than the former loop",
        values=ratio("loop again", "again"),
        unit="x",
        goal=Goal(limit=12, at_least=True, noise=0.1),
        beside=f"the loop over REST {ms('loop again')}, Watcher {ms('again')}",
    )


ROWS = (Row("events", "new and unchanged events into ERPNext", new_and_unchanged, minutes=15),)
