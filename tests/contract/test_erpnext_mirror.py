"""Mirrored rows on a site that fails in every measured way.

Each test runs against the stand-in, the sandbox, and a real Frappe too where
WATCHER_TEST_ERPNEXT_URL, _KEY and _SECRET name one (rows under an account of their own, deleted
afterwards). The faults come from a proxy before the site.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest

from tests.contract.test_erpnext_sites import (
    KEY,
    PEER,
    SECRET,
    Answer,
    Call,
    FaultProxy,
    StandIn,
    serve,
)
from watcher.erpnext import fields, rows
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.refusals import OUTAGE_AFTER
from watcher.erpnext.site import optional_fields
from watcher.errors import ErpAuthError, ErpSetupMissing, Transient
from watcher.events.fields import FIELDS
from watcher.events.model import Action, Cancel, Create, ErpEvent, Keep, Row, Update
from watcher_sandbox.erpnext.app import serve as serve_sandbox
from watcher_sandbox.erpnext.site import Site as SandboxSite

REAL = [os.environ.get(f"WATCHER_TEST_ERPNEXT_{name}", "") for name in ("URL", "KEY", "SECRET")]
SITES = ["stand-in", "sandbox", *(["real"] if all(REAL) else [])]

SOON = (2.0, 15.0)
"""Seconds: a site that does not answer fails a test and does not stop the suite."""

Forward = Callable[[Call], Answer]


def failed(exc_type: str, status: int = 500) -> Answer:
    return Answer(status, {"exc_type": exc_type})


BAD_GATEWAY = Answer(502, "<html>Bad gateway</html>", "text/html")
LIMITED = Answer(429, {"exc_type": "TooManyRequestsError"}, headers={"Retry-After": "12"})


class Site:
    """One site behind a proxy, and an account of its own on it."""

    def __init__(self, proxy: FaultProxy, url: str, key: str, secret: str, origin: str) -> None:
        self.proxy = proxy
        self.client = ErpNextClient(url, key, secret, timeout=SOON)
        self.direct = ErpNextClient(origin, key, secret, timeout=SOON)
        self.mirror = EventMirror(self.client)
        self.account = f"{uuid.uuid4().hex[:12]}@watcher.test"
        self.foreign: list[str] = []

    def event(self, number: int, **changed: Any) -> ErpEvent:
        event_id = changed.pop("event_id", f"event{number}")
        subject = changed.pop("subject", f"Shift {number}")
        event = ErpEvent(
            key=f"{uuid.uuid5(uuid.NAMESPACE_URL, self.account + event_id).hex}{'0' * 32}",
            event_id=event_id,
            recurring_event_id=None,
            calendar_id="calendar",
            account=self.account,
            erpnext_user=None,
            subject=subject,
            starts_on="2026-11-23 10:00:00",
            ends_on="2026-11-23 11:00:00",
            all_day=False,
            event_type="Public",
            description="",
            content_hash=f"{uuid.uuid5(uuid.NAMESPACE_URL, subject).hex}{'1' * 32}",
        )
        return replace(event, **changed)

    def events(self, count: int) -> list[ErpEvent]:
        return [self.event(n) for n in range(count)]

    def apply(self, *actions: Action, **options: Any) -> Any:
        return self.mirror.apply(actions, **options)

    def held(self) -> list[Row]:
        return EventMirror(self.direct).rows_of_calendar(self.account, "calendar")

    def by_id(self) -> dict[str, Row]:
        return {row.event_id: row for row in self.held()}

    def made(self, count: int) -> list[tuple[ErpEvent, Row]]:
        events = self.events(count)
        EventMirror(self.direct).apply([Create(event=e) for e in events])
        held = self.by_id()
        return [(e, held[e.event_id]) for e in events]

    def stranger(self) -> str:
        """An Event that is not ours."""
        doc = {
            "doctype": "Event",
            "subject": "Stranger",
            "event_type": "Public",
            "starts_on": "2026-11-23 10:00:00",
            "send_reminder": 0,
        }
        self.foreign.append(str(self.direct.insert(doc)["name"]))
        return self.foreign[-1]

    def delete(self, name: str) -> None:
        """With its shares: a site without a worker would keep them."""
        wanted = [["share_doctype", "=", "Event"], ["share_name", "=", name]]
        for share in self.direct.rows("DocShare", wanted, ["name"]):
            self.direct.delete("DocShare", share["name"])
        self.direct.delete("Event", name)

    def close(self) -> None:
        for name in [*(row.name for row in self.held()), *self.foreign]:
            self.delete(name)
        for client in (self.client, self.direct):
            client.logout()


@contextmanager
def origin_of(kind: str) -> Iterator[list[str]]:
    """Address, key and secret of a site."""
    if kind == "real":
        yield REAL
    elif kind == "sandbox":
        site = SandboxSite()
        site.add_user(PEER)
        server = serve_sandbox(site)
        yield [server.url, site.api_key, site.api_secret]
        server.close()
    else:
        with serve(StandIn().handle) as url:
            yield [url, KEY, SECRET]


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with origin_of(request.param) as (origin, key, secret):
        proxy = FaultProxy(origin)
        with serve(proxy.handle) as url:
            site = Site(proxy, url, key, secret, origin)
            fields.install(site.direct)
            yield site
            site.close()
        proxy.close()
    assert proxy.unused == [], "a fault met no request"


@pytest.fixture
def sandbox() -> Iterator[tuple[SandboxSite, ErpNextClient]]:
    """The sandbox without a proxy, for the faults of its own."""
    site = SandboxSite()
    server = serve_sandbox(site)
    client = ErpNextClient(server.url, site.api_key, site.api_secret, timeout=SOON)
    fields.install(client)
    yield site, client
    client.logout()
    server.close()


def renamed(pair: tuple[ErpEvent, Row], subject: str, site: Site) -> Update:
    event, row = pair
    number = int(event.event_id.removeprefix("event"))
    return Update(name=row.name, event=site.event(number, subject=subject))


def cancel(row: Row) -> Cancel:
    return Cancel(name=row.name, key=row.key, event_id=row.event_id, reason="gone")


# --- all is well ------------------------------------------------------------------------------


def test_create_in_batches_and_once(site: Site) -> None:
    events = site.events(230)
    held_back: list[int] = []
    applied = site.apply(
        *(Create(event=e) for e in events),
        Keep(key="k", event_id="e", reason="unchanged"),
        Keep(key="k", event_id="e", reason="declined"),
        before_batch=lambda: held_back.append(1),
    )
    assert (applied.created, applied.updated, applied.refused) == (230, 0, [])
    assert (applied.unchanged, applied.skipped) == (1, {"declined": 1})
    assert len(held_back) == 2
    assert len([c for c in site.proxy.calls if "insert_many" in c.path]) == 2
    again = site.apply(*(Create(event=e) for e in events))
    assert (again.created + again.updated, again.refused) == (230, [])
    assert again.answered_late == 0
    held = site.held()
    assert sorted(r.key for r in held) == sorted(e.key for e in events)
    assert {r.status for r in held} == {"Open"}


def test_read_back_is_normalised(site: Site) -> None:
    site.apply(
        Create(event=site.event(1, ends_on="2026-11-23 10:00:00")),
        Create(event=site.event(2, recurring_event_id="series", all_day=True)),
    )
    rows_by_id = site.by_id()
    assert rows_by_id["event1"].ends_on is None
    assert rows_by_id["event1"].starts_on == "2026-11-23 10:00:00"
    assert rows_by_id["event2"].ends_on == "2026-11-23 11:00:00"
    assert rows_by_id["event2"].all_day is True
    assert rows_by_id["event1"].recurring_event_id is None
    assert rows_by_id["event1"].modified_by


def test_every_optional_field_comes_back_as_it_was_sent(site: Site) -> None:
    there = optional_fields(site.direct)
    linked = {field.name for field in FIELDS if (field.custom or {}).get("fieldtype") == "Link"}
    event = site.event(1, extras={name: "" if name in linked else f"of {name}" for name in there})
    mirror = EventMirror(site.client, site_fields=there)
    mirror.apply([Create(event=event)])
    (row,) = mirror.rows_of_calendar(site.account, "calendar")
    assert row.extras == event.extras
    assert rows.is_as_wanted(row, event)
    changed = replace(event, extras=dict.fromkeys(there, ""), content_hash="2" * 64)
    mirror.apply([Update(name=row.name, event=changed, stamp=row.modified)])
    (row,) = mirror.rows_of_calendar(site.account, "calendar")
    assert rows.is_as_wanted(row, changed)


def test_reading_by_key_series_and_end(site: Site) -> None:
    site.stranger()
    other = site.event(9, calendar_id="other", recurring_event_id="series")
    site.apply(
        Create(event=site.event(1, recurring_event_id="series")),
        Create(event=site.event(2, starts_on="2026-11-01 10:00:00", ends_on="2026-11-01 10:00:00")),
        Create(event=site.event(3, ends_on="2026-11-23 10:00:00")),
        Create(event=other),
    )
    keys = [site.event(1).key, "f" * 64, "", site.event(3).key]
    by_key = site.mirror.rows_by_keys(keys)
    assert sorted(row.event_id for row in by_key.values()) == ["event1", "event3"]
    assert site.mirror.rows_by_keys([""]) == {}
    series = site.mirror.rows_by_series(site.account, "calendar", ["series", "none", ""])
    assert [row.event_id for row in series] == ["event1"]
    assert site.mirror.rows_by_series(site.account, "calendar", []) == []
    late = site.mirror.rows_for_listing(
        site.account,
        "calendar",
        ends_after="2026-11-23 00:00:00",
        touched_since="2999-01-01 00:00:00",
    )
    assert sorted(row.event_id for row in late) == ["event1", "event3"]
    site.direct.delete("Event", site.mirror.rows_by_keys([other.key])[other.key].name)


def test_update_cancel_revive(site: Site) -> None:
    first, second = site.made(2)
    applied = site.apply(renamed(first, "Moved", site), cancel(second[1]))
    assert (applied.updated, applied.cancelled, applied.refused) == (1, 1, [])
    held = site.by_id()
    assert (held["event0"].subject, held["event0"].status) == ("Moved", "Open")
    assert (held["event1"].subject, held["event1"].is_cancelled) == ("Shift 1", True)
    revived = site.apply(replace(renamed(second, "Back", site), revive=True))
    assert (revived.revived, revived.updated) == (1, 0)
    assert site.by_id()["event1"].status == "Open"


def test_update_leaves_the_status_alone(site: Site) -> None:
    (pair,) = site.made(1)
    site.direct.update({"doctype": "Event", "name": pair[1].name, "status": "Closed"})
    site.apply(renamed(pair, "Moved", site))
    assert (site.held()[0].subject, site.held()[0].status) == ("Moved", "Closed")


def test_delete_mode(site: Site) -> None:
    pairs = site.made(3)
    site.direct.delete("Event", pairs[0][1].name)
    site.mirror = EventMirror(site.client, delete_cancelled=True)
    applied = site.apply(*(cancel(row) for _, row in pairs))
    assert (applied.deleted, applied.cancelled) == (2, 0)
    assert applied.skipped == {"already_gone": 1}
    assert site.held() == []


# --- refused documents ------------------------------------------------------------------------


def test_refused_documents_are_set_aside_and_the_rest_goes_on(site: Site) -> None:
    bad: dict[str, dict[str, Any]] = {
        "event7": {"subject": "<x>"},
        "event41": {"starts_on": "2026-11-23T10:00:00Z"},
        "event42": {"erpnext_user": "nobody@watcher.test"},
    }
    events = [replace(e, **bad.get(e.event_id, {})) for e in site.events(60)]
    applied = site.apply(*(Create(event=e) for e in events))
    assert applied.created == 57
    assert sorted(r.event_id for r in applied.refused) == sorted(bad)
    assert len(site.held()) == 57
    refused = {r.event_id: r for r in applied.refused}
    assert "Could not find" in refused["event42"].message
    assert "OperationalError" in refused["event41"].message
    assert refused["event7"].content_hash == events[7].content_hash
    assert all("<" not in r.message for r in applied.refused)


def test_refused_updates_and_cancels(site: Site) -> None:
    pairs = site.made(5)
    updates = [renamed(pair, "Moved", site) for pair in pairs]
    updates[2] = replace(updates[2], event=replace(updates[2].event, subject="<x>"))
    applied = site.apply(*updates)
    assert applied.updated == 4
    assert [r.event_id for r in applied.refused] == ["event2"]
    subjects = {i: row.subject for i, row in site.by_id().items()}
    assert subjects == {f"event{n}": "Shift 2" if n == 2 else "Moved" for n in range(5)}


def test_duplicates_become_updates(site: Site) -> None:
    site.made(3)
    wanted = [site.event(n, subject=f"New {n}") for n in range(10)]
    applied = site.apply(*(Create(event=e) for e in wanted))
    assert (applied.created, applied.updated, applied.refused) == (7, 3, [])
    assert sorted(r.subject for r in site.held()) == sorted(e.subject for e in wanted)


def test_created_over_a_cancelled_row_revives_it(site: Site) -> None:
    ((event, row),) = site.made(1)
    site.direct.update({"doctype": "Event", "name": row.name, "status": "Cancelled"})
    applied = site.apply(Create(event=event))
    assert (applied.created, applied.revived) == (0, 1)
    assert [r.status for r in site.held()] == ["Open"]


def test_too_large_for_the_web_server_is_split(site: Site) -> None:
    site.proxy.fail("insert_many", Answer(413, "<html>too large</html>", "text/html"), times=2)
    applied = site.apply(*(Create(event=e) for e in site.events(8)))
    assert (applied.created, applied.refused, len(site.held())) == (8, [], 8)


def test_batches_are_bounded_in_bytes() -> None:
    big = [{"text": "x" * 1_500_000}] * 5
    assert [len(b) for b in rows.batches(big, dict)] == [2, 2, 1]
    assert [len(b) for b in rows.batches([{"text": "x" * 9_000_000}], dict)] == [1]
    assert list(rows.batches([], dict)) == []


# --- answers that say nothing about the write ---------------------------------------------------


@pytest.mark.parametrize("answer", [failed("TypeError"), BAD_GATEWAY, None])
def test_insert_that_was_done_all_the_same(site: Site, answer: Answer | None) -> None:
    site.proxy.fail("insert_many", answer, after=True)
    events = site.events(20)
    applied = site.apply(*(Create(event=e) for e in events))
    assert (applied.created, applied.updated, applied.refused) == (20, 0, [])
    assert len(site.held()) == 20


@pytest.mark.parametrize(
    "answer",
    [
        BAD_GATEWAY,
        failed("SessionStopped", 503),
        failed("QueryTimeoutError"),
        None,
        Answer(200, "<html>welcome</html>", "text/html"),
        Answer(body={"message": []}),
    ],
)
def test_insert_in_an_outage_is_left_for_later(site: Site, answer: Answer | None) -> None:
    site.proxy.fail("insert_many", answer)
    with pytest.raises(Transient):
        site.apply(*(Create(event=e) for e in site.events(20)))
    assert site.held() == []


def test_one_500_is_not_the_documents_fault(site: Site) -> None:
    site.proxy.fail("insert_many", failed("OperationalError"))
    applied = site.apply(Create(event=site.event(1)))
    assert (applied.created, applied.refused) == (1, [])


def test_500_for_every_document_is_an_outage(site: Site) -> None:
    calls = site.client.calls
    site.proxy.fail("insert_many", failed("OperationalError"), times=8 * OUTAGE_AFTER)
    with pytest.raises(Transient):
        site.apply(*(Create(event=e) for e in site.events(100)))
    assert site.held() == []
    assert site.client.calls - calls < 50
    site.proxy.heal()


def test_a_series_that_the_server_cannot_digest_stops_nothing_else(site: Site) -> None:
    """All its instances are as bad as the first: that is no outage, however many there are."""

    def indigestible(call: Call, forward: Callable[[Call], Answer]) -> Answer:
        return failed("TypeError") if "Indigestible" in str(call.body) else forward(call)

    bad = [
        site.event(n, event_id=f"m_{n}", subject="Indigestible", recurring_event_id="m")
        for n in range(OUTAGE_AFTER + 2)
    ]
    good = site.event(50)
    site.proxy.rule("insert_many", indigestible, times=100)
    applied = site.apply(*(Create(event=e) for e in [*bad, good]))
    site.proxy.heal()
    assert len(applied.refused) == len(bad)
    assert [row.event_id for row in site.held()] == [good.event_id]


def test_429_is_obeyed_at_once(site: Site) -> None:
    (pair,) = site.made(1)
    for action in (Create(event=site.event(9)), renamed(pair, "x", site), cancel(pair[1])):
        site.proxy.fail("/api/method/frappe.client.", LIMITED)
        before = site.client.calls
        with pytest.raises(Transient) as caught:
            site.apply(action)
        assert caught.value.retry_after == 12
        assert site.client.calls == before + 1


def test_missing_permission_stops(site: Site) -> None:
    site.proxy.fail("insert_many", failed("PermissionError", 403))
    with pytest.raises(ErpAuthError):
        site.apply(Create(event=site.event(1)))


def test_missing_fields_are_named(site: Site) -> None:
    site.proxy.fail("get_list", failed("DataError", 417))
    with pytest.raises(ErpSetupMissing):
        site.mirror.rows_of_calendar(site.account, "calendar")


@pytest.mark.parametrize("answer", [failed("OperationalError"), BAD_GATEWAY, None])
@pytest.mark.parametrize("after", [True, False])
def test_updates_and_cancels_whose_answer_failed(
    site: Site, answer: Answer | None, after: bool
) -> None:
    pairs = site.made(6)
    site.proxy.fail("bulk_update", answer, after=after, times=2)
    applied = site.apply(
        *(renamed(pair, "Moved", site) for pair in pairs[:3]),
        *(cancel(row) for _, row in pairs[3:]),
    )
    assert (applied.updated, applied.cancelled, applied.refused) == (3, 3, [])
    seen = [(r.subject, r.is_cancelled) for _, r in sorted(site.by_id().items())]
    assert seen == [("Moved", False)] * 3 + [(f"Shift {n}", True) for n in (3, 4, 5)]


def test_updates_lost_by_a_deadlock(site: Site) -> None:
    """Measured: the answer lists document 4 of 6 alone, but 1 to 3 are rolled back too."""
    pairs = site.made(6)

    def deadlock(call: Call, forward: Forward) -> Answer:
        docs = json.loads(call.json["docs"])
        call.body = json.dumps({"docs": json.dumps(docs[4:])}).encode()
        forward(call)
        return Answer(
            body={"message": {"failed_docs": [{"doc": docs[3], "exc": "QueryDeadlockError"}]}}
        )

    site.proxy.rule("bulk_update", deadlock)
    applied = site.apply(*(renamed(pair, "Moved", site) for pair in pairs))
    assert (applied.updated, applied.refused) == (6, [])
    assert {row.subject for row in site.held()} == {"Moved"}
    site.proxy.rule("bulk_update", deadlock)
    cancelled = site.apply(*(cancel(row) for _, row in pairs))
    assert cancelled.cancelled == 6
    assert all(row.is_cancelled for row in site.held())


def test_meddled_row_with_the_right_hash_is_still_put_right(site: Site) -> None:
    """Its hash is as wanted before the update, so that the hash proves nothing."""
    ((event, row),) = site.made(1)
    site.direct.update({"doctype": "Event", "name": row.name, "subject": "Meddled"})
    site.proxy.fail("bulk_update", failed("OperationalError"))
    applied = site.apply(Update(name=row.name, event=event))
    assert applied.updated == 1
    assert site.held()[0].subject == event.subject


def test_500_after_a_single_write(site: Site) -> None:
    (pair,) = site.made(1)
    site.proxy.fail("bulk_update", BAD_GATEWAY)
    site.proxy.fail("PUT", failed("ConnectionResetError"), after=True)
    applied = site.apply(renamed(pair, "Moved", site))
    assert (applied.updated, applied.refused) == (1, [])
    assert site.held()[0].subject == "Moved"


def test_another_writer_came_between(site: Site) -> None:
    (pair,) = site.made(1)
    site.proxy.fail("bulk_update", BAD_GATEWAY)
    site.proxy.fail("PUT", failed("TimestampMismatchError", 417))
    assert site.apply(renamed(pair, "Moved", site)).updated == 1


def test_one_forbidden_row_does_not_stop_the_calendar(site: Site) -> None:
    pairs = site.made(3)
    site.proxy.fail("bulk_update", BAD_GATEWAY)
    site.proxy.fail("PUT", failed("PermissionError", 403))
    applied = site.apply(*(renamed(pair, "Moved", site) for pair in pairs))
    assert (applied.updated, len(applied.refused)) == (2, 1)


def test_permission_lost_as_such_does_stop(site: Site) -> None:
    pairs = site.made(2)
    site.proxy.fail("bulk_update", BAD_GATEWAY)
    site.proxy.fail("PUT", failed("PermissionError", 403))
    site.proxy.fail("has_permission", Answer(body={"message": {"has_permission": False}}))
    with pytest.raises(ErpAuthError):
        site.apply(*(renamed(pair, "Moved", site) for pair in pairs))


def test_hold_can_stop_between_batches(site: Site) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        site.apply(Create(event=site.event(1)), before_batch=stop)
    assert site.held() == []


# --- names are reused ---------------------------------------------------------------------------


def test_row_that_vanished_is_created_again(site: Site) -> None:
    pairs = site.made(3)
    site.direct.delete("Event", pairs[1][1].name)
    applied = site.apply(*(renamed(pair, "Moved", site) for pair in pairs))
    assert (applied.updated, applied.created, applied.refused) == (2, 1, [])
    assert {row.subject for row in site.held()} == {"Moved"}
    assert len(site.held()) == 3


def test_after_a_failure_rows_are_found_by_key_alone(site: Site) -> None:
    """The remembered name belongs to somebody else's event by now."""
    ((event, row),) = site.made(1)
    stranger = site.stranger()
    site.proxy.fail("bulk_update", BAD_GATEWAY, times=2)
    wrong_name = Update(name=stranger, event=replace(event, subject="Moved", content_hash="2" * 64))
    assert site.apply(wrong_name).updated == 1
    assert site.apply(Cancel(name=stranger, key=row.key, event_id="e", reason="r")).cancelled == 1
    untouched = site.direct.get_doc("Event", stranger)
    assert (untouched["subject"], untouched.get("status", "Open")) == ("Stranger", "Open")
    assert (site.held()[0].subject, site.held()[0].is_cancelled) == ("Moved", True)


def test_delete_goes_by_key_alone(site: Site) -> None:
    ((_, row),) = site.made(1)
    stranger = site.stranger()
    site.mirror = EventMirror(site.client, delete_cancelled=True)
    gone = Cancel(name=stranger, key="e" * 64, event_id="e", reason="r")
    applied = site.apply(replace(cancel(row), name=stranger), gone)
    assert (applied.deleted, applied.skipped) == (1, {"already_gone": 1})
    assert site.direct.get_doc("Event", stranger)["subject"] == "Stranger"


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("answer", [failed("ConnectionError"), BAD_GATEWAY, None])
def test_delete_whose_answer_failed(site: Site, answer: Answer | None, after: bool) -> None:
    """With its queue down Frappe deletes and then answers 500."""
    pairs = site.made(2)
    site.proxy.fail("DELETE", answer, after=after)
    site.mirror = EventMirror(site.client, delete_cancelled=True)
    applied = site.apply(*(cancel(row) for _, row in pairs))
    assert (applied.deleted, applied.refused, site.held()) == (2, [], [])


def test_delete_that_is_refused(site: Site) -> None:
    pairs = site.made(2)
    site.proxy.fail("DELETE", failed("LinkExistsError", 417))
    site.mirror = EventMirror(site.client, delete_cancelled=True)
    applied = site.apply(*(cancel(row) for _, row in pairs))
    assert (applied.deleted, len(applied.refused), len(site.held())) == (1, 1, 1)


# --- private rows and their shares --------------------------------------------------------------


def shares(site: Site, name: str) -> list[str]:
    wanted = [["share_doctype", "=", "Event"], ["share_name", "=", name]]
    return [row["user"] for row in site.direct.rows("DocShare", wanted, ["user"])]


def private(site: Site, number: int, **changed: Any) -> ErpEvent:
    return site.event(number, event_type="Private", **{"share_with": PEER, **changed})


def test_private_row_is_shared_and_then_marked(site: Site) -> None:
    events = [private(site, 1), site.event(2)]
    applied = site.apply(*(Create(event=e) for e in events))
    assert (applied.created, applied.refused) == (2, [])
    held = site.by_id()
    assert shares(site, held["event1"].name) == [PEER]
    assert shares(site, held["event2"].name) == []
    assert held["event1"].content_hash == events[0].content_hash


def test_crash_before_the_share_leaves_the_row_unmarked(site: Site) -> None:
    event = private(site, 1)
    site.proxy.fail("share.add", None)
    with pytest.raises(Transient):
        site.apply(Create(event=event))
    (row,) = site.held()
    assert row.content_hash == ""
    applied = site.apply(Update(name=row.name, event=event))
    assert applied.updated == 1
    assert shares(site, row.name) == [PEER]
    assert site.held()[0].content_hash == event.content_hash


def test_mark_that_was_lost_is_written_again(site: Site) -> None:
    event = private(site, 1)
    site.proxy.fail("bulk_update", Answer(body={"message": {"failed_docs": [{"exc": "deadlock"}]}}))
    applied = site.apply(Create(event=event))
    assert (applied.created, applied.refused) == (1, [])
    assert site.held()[0].content_hash == event.content_hash


def inherited(site: Site) -> str:
    """The name of a deleted private row that was shared, and whose share is still there."""
    site.apply(Create(event=private(site, 1)))
    (row,) = site.held()
    site.direct.delete("Event", row.name)
    assert shares(site, row.name) == [PEER]
    return row.name


@pytest.mark.parametrize("share_with", [None, "own"])
def test_reused_name_does_not_inherit_readers(site: Site, share_with: str | None) -> None:
    own = site.client.whoami() if share_with else None
    name = inherited(site)
    event = private(site, 2, share_with=own)
    assert site.apply(Create(event=event)).created == 1
    (row,) = site.held()
    assert (row.name, row.content_hash) == (name, event.content_hash)
    assert shares(site, name) == ([own] if own else [])


def test_crash_before_inherited_readers_are_removed(site: Site) -> None:
    name = inherited(site)
    event = private(site, 2, share_with=None)
    site.proxy.fail("get_list", BAD_GATEWAY)
    with pytest.raises(Transient):
        site.apply(Create(event=event))
    (row,) = site.held()
    assert (row.name, row.content_hash) == (name, ""), "not complete while others may read it"
    assert site.apply(Update(name=name, event=event)).updated == 1
    assert shares(site, name) == []
    assert site.held()[0].content_hash == event.content_hash


def test_what_a_person_shared_stays(site: Site) -> None:
    event = private(site, 1, share_with=None)
    site.apply(Create(event=event))
    (row,) = site.held()
    site.direct.share(row.name, PEER)
    changed = private(site, 1, share_with=None, subject="Moved")
    assert site.apply(Update(name=row.name, event=changed)).updated == 1
    assert shares(site, row.name) == [PEER]


def test_user_unknown_to_the_site(site: Site) -> None:
    events = [private(site, 1, share_with="nobody@watcher.test"), private(site, 2)]
    applied = site.apply(*(Create(event=e) for e in events))
    assert applied.created == 2
    assert [r.event_id for r in applied.refused] == ["event1"]
    held = site.by_id()
    assert (held["event1"].content_hash, shares(site, held["event1"].name)) == ("", [])
    assert held["event2"].content_hash == events[1].content_hash


# --- the sandbox's own troubles -----------------------------------------------------------------


def bare_events(count: int) -> list[ErpEvent]:
    shape: dict[str, Any] = {
        "recurring_event_id": None,
        "calendar_id": "c",
        "account": "a@watcher.test",
        "erpnext_user": None,
        "starts_on": "2026-11-23 10:00:00",
        "ends_on": "2026-11-23 11:00:00",
        "all_day": False,
        "event_type": "Public",
        "description": "",
    }
    return [
        ErpEvent(key=f"{n:064x}", event_id=f"e{n}", subject=f"S{n}", content_hash=f"{n:x}", **shape)
        for n in range(count)
    ]


def test_deadlock_of_the_sandbox(sandbox: tuple[SandboxSite, ErpNextClient]) -> None:
    site, client = sandbox
    mirror = EventMirror(client)
    events = bare_events(6)
    mirror.apply([Create(event=e) for e in events])
    held = mirror.rows_by_keys(e.key for e in events)
    moved = [replace(e, subject="Moved", content_hash="m" + e.content_hash) for e in events]
    site.deadlock_at = 4
    applied = mirror.apply([Update(name=held[e.key].name, event=e) for e in moved])
    assert site.deadlock_at is None, "it was met"
    assert (applied.updated, applied.refused) == (6, [])
    rows_now = mirror.rows_of_calendar("a@watcher.test", "c")
    assert {row.subject for row in rows_now} == {"Moved"}


@pytest.mark.parametrize("mode", ["full", "read-only"])
def test_maintenance_of_the_sandbox(
    sandbox: tuple[SandboxSite, ErpNextClient], mode: Literal["full", "read-only"]
) -> None:
    site, client = sandbox
    mirror = EventMirror(client)
    actions = [Create(event=e) for e in bare_events(3)]
    site.maintenance = mode
    with pytest.raises(Transient, match="maintenance"):
        mirror.apply(actions)
    site.maintenance = ""
    assert mirror.rows_of_calendar("a@watcher.test", "c") == []
    assert mirror.apply(actions).created == 3


def test_database_and_limits_of_the_sandbox(sandbox: tuple[SandboxSite, ErpNextClient]) -> None:
    site, client = sandbox
    mirror = EventMirror(client)
    actions = [Create(event=e) for e in bare_events(3)]
    for trouble in ({"database_down": True}, {"html": True}, {"rate_limit": 30}):
        site.set_troubles(trouble)
        with pytest.raises(Transient) as caught:
            mirror.apply(actions)
        assert (caught.value.retry_after is not None) == ("rate_limit" in trouble)
        site.clear_troubles()
    assert mirror.rows_of_calendar("a@watcher.test", "c") == []


def test_queue_of_the_sandbox_is_down(sandbox: tuple[SandboxSite, ErpNextClient]) -> None:
    """Each deletion is committed and then answered with 500."""
    site, client = sandbox
    mirror = EventMirror(client, delete_cancelled=True)
    mirror.apply([Create(event=e) for e in bare_events(3)])
    rows_now = mirror.rows_of_calendar("a@watcher.test", "c")
    site.queue_down = True
    applied = mirror.apply([cancel(row) for row in rows_now])
    assert (applied.deleted, applied.refused) == (3, [])
    assert mirror.rows_of_calendar("a@watcher.test", "c") == []
