"""The Calendar client over real sockets: pages, masks, refusals, damaged answers, time-outs."""

from __future__ import annotations

import functools
import os
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.google.scripted_google import Answer, Asked, Scripted, error
from watcher.errors import (
    AccessLost,
    AppDead,
    CalendarGone,
    Permanent,
    PushNotSupported,
    SyncTokenExpired,
    Transient,
)
from watcher.events.model import Window
from watcher.google import wire
from watcher.google.answers import calendar_id_of
from watcher.google.client import (
    QUERY_FINGERPRINT,
    CalendarClient,
    NewChannel,
    Patience,
)
from watcher.google.errors import ChannelIdTaken

WINDOW = Window(
    start=datetime(2026, 11, 17, 8, 30, 15, 250, tzinfo=UTC),
    end=datetime(2026, 12, 24, 8, 30, 15, 250, tzinfo=UTC),
)
CALENDAR = "ann@example.com"
ONE = {"items": [{"id": "a"}], "timeZone": "Europe/Rome", "nextSyncToken": "t1"}


@dataclass
class Rig:
    """A client, and what it did: tokens asked for, calls announced, seconds slept."""

    client: CalendarClient
    refused: list[str | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)


def rig(url: str, **options: Any) -> Rig:
    made: Rig

    def tokens(refused: str | None) -> str:
        made.refused.append(refused)
        return "new" if refused else "old"

    client = CalendarClient(
        url,
        tokens,
        quota_user="ann@example.com",
        patience=Patience(timeout=options.pop("timeout", 5.0), retries=options.pop("retries", 3)),
        on_call=lambda kind: made.calls.append(kind),
        sleep=lambda seconds: made.slept.append(seconds),
        rng=random.Random(1),
        **options,
    )
    made = Rig(client)
    return made


def delta(rigged: Rig) -> list[Any]:
    return list(rigged.client.changes(CALENDAR, "t0"))


# --- what is asked ------------------------------------------------------------------------


def test_delta_and_mint_ask_the_same_question(google: Scripted) -> None:
    google.say(Answer(body={"nextPageToken": "p"}), Answer(body={"nextSyncToken": "t0"}))
    google.say(Answer(body=ONE))
    made = rig(google.url)

    assert made.client.mint_sync_token(CALENDAR) == "t0"
    [page] = made.client.changes(CALENDAR, "t0")

    assert page.items == [{"id": "a"}]
    assert (page.next_sync_token, page.time_zone) == ("t1", "Europe/Rome")
    mint, second, changes = (dict(asked.query) for asked in google.asked)
    assert second.pop("pageToken") == "p"
    assert second == mint
    assert mint.pop("fields") == "nextPageToken,nextSyncToken"
    assert changes.pop("syncToken") == "t0"
    assert changes.pop("fields").startswith("nextPageToken,nextSyncToken,timeZone,items(id,")
    assert changes == mint
    forbidden = {"timeMin", "timeMax", "orderBy", "q", "updatedMin", "eventTypes"}
    assert not forbidden & (mint.keys() | changes.keys())
    assert made.calls == ["mint", "mint", "delta"]
    assert len(QUERY_FINGERPRINT) == 16


def test_request_carries_token_gzip_and_a_hashed_user(google: Scripted) -> None:
    google.say(Answer(body=ONE, zipped=True))
    delta(rig(google.url))
    asked = google.asked[0]
    assert asked.path == "/calendar/v3/calendars/ann%40example.com/events"
    assert asked.headers["authorization"] == "Bearer old"
    assert "gzip" in asked.headers["accept-encoding"]
    assert "gzip" in asked.headers["user-agent"]
    assert len(asked.query["quotaUser"]) == 40
    assert "ann" not in asked.query["quotaUser"]


def test_snapshot_asks_a_superset_of_the_window(google: Scripted) -> None:
    google.say(Answer(body={"items": [{"id": "a"}], "nextPageToken": "p"}))
    google.say(Answer(body={"items": [], "nextSyncToken": "other"}))
    pages = list(rig(google.url).client.snapshot(CALENDAR, WINDOW))
    assert [len(page.items) for page in pages] == [1, 0]
    assert [page.next_sync_token for page in pages] == [None, None]
    query = google.asked[0].query
    assert query["singleEvents"] == "true"
    assert query["showDeleted"] == "false"
    assert query["timeMin"] == "2026-11-16T08:30:15Z"
    assert query["timeMax"] == "2026-12-25T08:30:16Z"
    assert not {"syncToken", "orderBy"} & query.keys()


def test_instances_reads_all_pages_and_knows_a_dead_series(google: Scripted) -> None:
    google.say(Answer(body={"items": [{"id": "m_1"}], "nextPageToken": "p"}))
    google.say(Answer(body={"items": [{"id": "m_2"}]}))
    google.say(error(404, "notFound"), error(410, "deleted"))
    client = rig(google.url).client
    found = client.instances(CALENDAR, "m", WINDOW)
    assert found is not None
    assert [item["id"] for item in found] == ["m_1", "m_2"]
    assert google.asked[0].path.endswith("/events/m/instances")
    assert client.instances(CALENDAR, "m", WINDOW) is None
    assert client.instances(CALENDAR, "m", WINDOW) is None


def test_a_calendar_id_is_quoted_and_found_again(google: Scripted) -> None:
    google.say(Answer(body=ONE))
    odd = "en.usa#holiday/x@group.v.calendar.google.com"
    list(rig(google.url + "/calendar/v3/").client.changes(odd, "t0"))
    path = google.asked[0].path
    assert path.startswith("/calendar/v3/calendars/en.usa%23holiday%2Fx%40group")
    assert calendar_id_of(f"https://www.googleapis.com{path}?alt=json") == odd


@pytest.mark.parametrize("uri", ["", "https://x/y", "https://x/calendars/", "http://[::1"])
def test_no_calendar_id_in_other_addresses(uri: str) -> None:
    assert calendar_id_of(uri) is None


# --- damaged answers ----------------------------------------------------------------------


DAMAGED = {
    "not JSON": Answer(body=b'{"items": [{"id": "a"}'),
    "HTML": Answer(body=b"<html>Sorry</html>", headers={"content-type": "text/html"}),
    "empty": Answer(body=b""),
    "not UTF-8": Answer(body=b'{"items": "\xff\xfe"}'),
    "a list": Answer(body=[1]),
    "null": Answer(body=b"null"),
    "no items": Answer(body={"nextSyncToken": "t1"}),
    "items an object": Answer(body={"items": {}, "nextSyncToken": "t1"}),
    "an item a text": Answer(body={"items": ["a"], "nextSyncToken": "t1"}),
    "no token at the end": Answer(body={"items": []}),
    "token a number": Answer(body={"items": [], "nextSyncToken": 7}),
    "same page for ever": Answer(body={"items": [], "nextPageToken": "p"}),
    "cut off": Answer(body=ONE, cut=True),
    "bad gzip": Answer(body=b"{}", headers={"content-encoding": "gzip"}),
    "redirect": Answer(302, b"", headers={"location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_answer_passes_and_loses_nothing(google: Scripted, name: str) -> None:
    google.otherwise = lambda _: DAMAGED[name]
    with pytest.raises(Transient) as caught:
        delta(rig(google.url))
    assert caught.value.side == "google"
    assert len(google.asked) <= 5


def test_one_damaged_answer_is_repaired_by_asking_again(google: Scripted) -> None:
    google.say(DAMAGED["not JSON"], DAMAGED["cut off"], Answer(body=ONE))
    made = rig(google.url)
    assert len(delta(made)) == 1
    assert made.calls == ["delta"] * 3
    assert len(made.slept) == 2


def test_an_answer_without_items_is_settled_without_the_mask(google: Scripted) -> None:
    """Both readings hold: a mask that drops empty lists, and a page that lost its items."""
    google.say(Answer(body={"nextSyncToken": "t1"}))
    google.say(Answer(body={"kind": "calendar#events", "items": [], "nextSyncToken": "t1"}))
    [page] = delta(rig(google.url))
    assert page.items == []
    assert "fields" in google.asked[0].query
    assert "fields" not in google.asked[1].query
    assert google.asked[1].query["syncToken"] == "t0"


def test_an_empty_object_is_not_an_empty_calendar(google: Scripted) -> None:
    google.otherwise = lambda _: Answer(body={})
    with pytest.raises(Transient):
        list(rig(google.url).client.snapshot(CALENDAR, WINDOW))
    with pytest.raises(Transient):
        rig(google.url).client.mint_sync_token(CALENDAR)


def test_pages_have_an_end(google: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watcher.google.client.MAX_PAGES", 4)
    google.otherwise = lambda _: Answer(
        body={"items": [], "nextPageToken": f"p{len(google.asked)}"}
    )
    with pytest.raises(Transient, match="more than 4 pages"):
        delta(rig(google.url))
    assert len(google.asked) == 4


def test_a_large_page_of_equal_descriptions_is_read(google: Scripted) -> None:
    """12 MB that shrink by more than a hundred times: httplib2 refuses that by default."""
    items = [{"id": str(n), "description": "x" * 6000} for n in range(2000)]
    google.say(Answer(body={"items": items, "nextSyncToken": "t1"}, zipped=True))
    [page] = delta(rig(google.url))
    assert len(page.items) == 2000


# --- refusals -----------------------------------------------------------------------------


def test_a_refused_token_is_renewed_once_and_the_call_replayed(google: Scripted) -> None:
    google.say(error(401, "authError"), Answer(body=ONE))
    made = rig(google.url)
    assert len(delta(made)) == 1
    assert made.refused == [None, "old"]
    sent = [asked.headers["authorization"] for asked in google.asked]
    assert sent == ["Bearer old", "Bearer new"]
    assert made.slept == []


def test_a_second_401_passes_to_the_caller(google: Scripted) -> None:
    google.otherwise = lambda _: error(401, "authError")
    made = rig(google.url)
    with pytest.raises(Transient) as caught:
        delta(made)
    assert caught.value.retry_after == 60
    assert len(google.asked) == 2
    assert made.refused == [None, "old"]


def test_410_on_any_page_of_a_delta_wants_a_full_sync(google: Scripted) -> None:
    google.say(Answer(body={"items": [], "nextPageToken": "p"}), error(410, "fullSyncRequired"))
    pages = rig(google.url).client.changes(CALENDAR, "t0")
    next(pages)
    with pytest.raises(SyncTokenExpired):
        next(pages)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(400, "invalid"), SyncTokenExpired),
        (Answer(410, b""), SyncTokenExpired),
        (error(403, "accessNotConfigured"), AppDead),
        (error(403, "insufficientPermissions"), AccessLost),
        (error(403, "forbidden"), AccessLost),
        (error(404, "notFound"), CalendarGone),
        (Answer(403, [1, 2]), Transient),
        (Answer(403, b"<html>no</html>"), Transient),
        (Answer(404, b"<html>no</html>"), Transient),
        (error(412, "conditionNotMet"), Transient),
    ],
)
def test_a_refusal_is_final_at_once(
    google: Scripted, answer: Answer, expected: type[Exception]
) -> None:
    google.otherwise = lambda _: answer
    with pytest.raises(expected):
        delta(rig(google.url))
    assert len(google.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(500, "backendError"),
        Answer(502, b"<html>Bad gateway</html>"),
        error(503, "backendError"),
        error(429, "rateLimitExceeded"),
        error(403, "rateLimitExceeded"),
        error(403, "userRateLimitExceeded"),
    ],
)
def test_what_passes_is_tried_again_with_jitter_and_an_end(
    google: Scripted, answer: Answer
) -> None:
    google.otherwise = lambda _: answer
    made = rig(google.url)
    with pytest.raises(Transient):
        delta(made)
    assert len(google.asked) == len(made.calls) == 4
    assert all(0 <= pause <= 4 for pause in made.slept)
    assert len(set(made.slept)) == 3
    assert sum(made.slept) <= 8


def test_retry_after_is_honoured_when_short_and_handed_on_when_long(google: Scripted) -> None:
    google.say(error(429, "rateLimitExceeded", retry_after="3"), Answer(body=ONE))
    made = rig(google.url)
    assert len(delta(made)) == 1
    assert 3 <= made.slept[0] <= 3.5
    google.say(error(503, "backendError", retry_after="120"))
    with pytest.raises(Transient) as caught:
        delta(made)
    assert caught.value.retry_after == 120
    assert len(google.asked) == 3


def test_a_spent_quota_rests_an_hour(google: Scripted) -> None:
    google.say(error(403, "quotaExceeded", "Calendar usage limits exceeded."))
    made = rig(google.url)
    with pytest.raises(Transient) as caught:
        delta(made)
    assert caught.value.retry_after == 3600
    assert made.slept == []


def test_a_server_that_never_answers_costs_one_time_out(google: Scripted) -> None:
    google.say(Answer(hang=True))
    made = rig(google.url, timeout=0.2)
    with pytest.raises(Transient, match="in time"):
        delta(made)
    assert made.calls == ["delta"]


def test_nobody_listening() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: refused at once
        made = rig(f"http://127.0.0.1:{held.getsockname()[1]}", retries=2)
        with pytest.raises(Transient, match="could not be reached"):
            delta(made)
    assert made.calls == ["delta"] * 3


def test_the_budget_can_refuse_a_call(google: Scripted) -> None:
    def spent(kind: str) -> None:
        raise Transient(f"no budget for {kind}", side="google", retry_after=5)

    client = CalendarClient(google.url, lambda _: "t", on_call=spent)
    with pytest.raises(Transient, match="no budget for delta"):
        list(client.changes(CALENDAR, "t0"))
    assert google.asked == []


def test_no_token_in_any_error(google: Scripted) -> None:
    google.otherwise = lambda _: error(403, "forbidden", "Bearer ya29.secret is not allowed")
    client = CalendarClient(google.url, lambda _: "ya29.secret")
    with pytest.raises(AccessLost) as caught:
        list(client.changes(CALENDAR, "t0"))
    assert "ya29" not in f"{caught.value}{caught.value.__cause__}"


# --- channels -----------------------------------------------------------------------------


def watch(client: CalendarClient, channel_id: str = "c-1") -> Any:
    wanted = NewChannel(
        channel_id=channel_id,
        token="s",
        address="https://watcher.example.com/webhooks/google",
        ttl_seconds=604800,
    )
    return client.watch(CALENDAR, wanted)


def test_watch_returns_what_google_returned(google: Scripted) -> None:
    moment = datetime(2026, 12, 1, 9, 0, 0, 500_000, tzinfo=UTC)
    uri = "https://www.googleapis.com/calendar/v3/calendars/ann%40example.com/events?alt=json"
    body = {"id": "c-1", "resourceId": "r", "resourceUri": uri}
    google.say(Answer(body={**body, "expiration": str(int(moment.timestamp() * 1000))}))
    answer = watch(rig(google.url).client)
    assert (answer.resource_id, answer.expiration) == ("r", moment)
    assert answer.expiration.utcoffset() == timedelta(0)
    assert calendar_id_of(answer.resource_uri) == CALENDAR
    asked = google.asked[0]
    assert asked.path.endswith("/events/watch")
    assert "eventTypes" not in asked.query
    assert asked.json == {
        "id": "c-1",
        "type": "web_hook",
        "address": "https://watcher.example.com/webhooks/google",
        "token": "s",
        "params": {"ttl": "604800"},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"id": "c-1", "expiration": "1764579600000"},
        {"id": "c-1", "resourceId": "r"},
        {"id": "c-1", "resourceId": "r", "expiration": "soon"},
        {"id": "c-1", "resourceId": "r", "expiration": "9" * 30},
        {"id": "c-2", "resourceId": "r", "expiration": "1764579600000"},
        [],
    ],
)
def test_watch_with_a_damaged_answer(google: Scripted, body: Any) -> None:
    google.otherwise = lambda _: Answer(body=body)
    with pytest.raises(Transient):
        watch(rig(google.url).client)
    assert len(google.asked) == 1


@pytest.mark.parametrize(
    ("answer", "expected", "step"),
    [
        (error(400, "pushNotSupportedForRequestedResource"), PushNotSupported, "polled"),
        (error(400, "channelIdNotUnique"), ChannelIdTaken, "new id"),
        (error(400, "push.channelIdNotUnique"), ChannelIdTaken, "new id"),
        (error(401, "push.webhookUrlUnauthorized"), Permanent, "Search Console"),
        (error(400, "push.webhookUrlNotHttps"), Permanent, "WATCHER_PUBLIC_URL"),
        (error(404, "notFound"), CalendarGone, ""),
        (error(400, "invalid"), Permanent, ""),
    ],
)
def test_watch_refused(
    google: Scripted, answer: Answer, expected: type[Permanent], step: str
) -> None:
    google.otherwise = lambda _: answer
    with pytest.raises(expected) as caught:
        watch(rig(google.url).client)
    assert step in caught.value.next_step
    assert caught.value.cause
    assert len(google.asked) == 1


def test_an_unclear_watch_is_not_repeated_but_a_refused_one_is(google: Scripted) -> None:
    google.otherwise = lambda _: error(503, "backendError")
    made = rig(google.url)
    with pytest.raises(Transient):
        watch(made.client)
    assert made.calls == ["watch"]
    google.otherwise = lambda _: error(403, "rateLimitExceeded")
    with pytest.raises(Transient):
        watch(made.client)
    assert made.calls == ["watch"] * 5


def break_kept_connection(google: Scripted) -> None:
    """What is written to it from now on meets a broken pipe."""
    kept = wire._connection(5.0).connections[google.url.replace("//", "")]
    kept.sock.shutdown(socket.SHUT_WR)


def test_a_connection_that_was_closed_while_idle_costs_no_call(google: Scripted) -> None:
    """The server resets the kept connection; the next read notices only when it writes."""
    google.otherwise = lambda _: Answer(body=ONE, keep=True)
    made = rig(google.url)
    delta(made)
    break_kept_connection(google)
    delta(made)
    assert made.slept == []
    assert len(google.asked) == 2


def test_a_watch_never_goes_out_on_a_connection_that_may_be_stale(google: Scripted) -> None:
    google.otherwise = lambda asked: Answer(
        body={"id": "c-1", "resourceId": "r", "expiration": "1764579600000"}
        if asked.path.endswith("watch")
        else ONE,
        keep=True,
    )
    made = rig(google.url)
    delta(made)
    break_kept_connection(google)
    watch(made.client)
    assert [asked.path.endswith("watch") for asked in google.asked] == [False, True]


def test_watch_minds_its_limits(google: Scripted) -> None:
    client = rig(google.url).client
    with pytest.raises(ValueError, match="64"):
        watch(client, "c" * 65)
    assert google.asked == []


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (Answer(204), True),
        (Answer(200, b""), True),
        (Answer(200, b"ok"), True),
        (error(404, "notFound", "Channel 'x' not found for project 'n'"), False),
        (Answer(404, b""), False),
    ],
)
def test_stop(google: Scripted, answer: Answer, known: bool) -> None:
    google.say(answer)
    assert rig(google.url).client.stop("c-1", "r") is known
    assert google.asked[0].path == "/calendar/v3/channels/stop"
    assert google.asked[0].json == {"id": "c-1", "resourceId": "r"}


@pytest.mark.system
def test_connections_are_kept_per_thread_and_not_across_a_fork(google: Scripted) -> None:
    google.otherwise = lambda _: Answer(body=ONE, keep=True)
    made = rig(google.url, timeout=4.5)

    def work() -> None:
        delta(made)
        delta(made)

    run_all([work])
    run_all([work])
    first, again, second, _ = (asked.port for asked in google.asked)
    assert first == again != second

    delta(made)
    child = os.fork()
    if child == 0:
        done = 1
        try:
            delta(made)
            done = 0
        finally:
            os._exit(done)
    assert os.waitpid(child, 0)[1] == 0
    delta(made)
    before, inside, after = (asked.port for asked in google.asked[4:])
    assert before == after != inside


def test_threads_share_a_client(google: Scripted) -> None:
    """httplib2 is not thread-safe; each thread has its own connections."""

    def echo(asked: Asked) -> Answer:
        name = asked.query["syncToken"]
        return Answer(body={"items": [{"id": name}], "nextSyncToken": name})

    google.otherwise = echo
    client = CalendarClient(google.url, lambda _: "t")
    wrong: list[str] = []

    def work(name: str) -> None:
        for _ in range(10):
            [page] = client.changes(CALENDAR, name)
            if page.items != [{"id": name}]:
                wrong.append(name)

    run_all([functools.partial(work, f"t{n}") for n in range(6)])
    assert wrong == []
    assert len(google.asked) == 60


def run_all(tasks: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
