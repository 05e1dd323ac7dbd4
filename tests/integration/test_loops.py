"""A defect that one calendar or account brings to light leaves no other behind it undone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.company import ANN, BOB, Company
from watcher.accounts import disconnect, revive, tokens, users
from watcher.channels import renewal
from watcher.cli import cli
from watcher.cli.common import App
from watcher.erpnext.events import EventMirror
from watcher.errors import Cause, Defect, LedgerAway, Transient, WatcherError, contained
from watcher.google.client import CalendarClient
from watcher.google.credentials import AccessTokens
from watcher.jobs import erasures, timetable
from watcher.jobs.doorbell import Doorbell
from watcher.ledger import accounts, erased
from watcher.ledger import notices as ledger
from watcher.notices import decide, media, tell
from watcher.services import Services
from watcher.sync import comparing
from watcher.sync import work as syncing

Patch = pytest.MonkeyPatch
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def breaks_once(patch: Patch, owner: object, name: str) -> list[object]:
    """The first call meets a defect, the others are as ever. Returns what was called with."""
    real: Callable[..., Any] = getattr(owner, name)
    calls: list[object] = []

    def broken(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise KeyError("a defect")
        return real(*args, **kwargs)

    patch.setattr(owner, name, broken)
    return calls


@pytest.fixture
def shop(company: Company, caplog: pytest.LogCaptureFixture) -> Company:
    caplog.set_level(logging.ERROR)
    company.setup_erpnext()
    for email in (ANN, BOB):
        company.add(email)
        assert company.sync(email) == "done"
    company.services.doorbell.client.flushall()
    return company


def run(shop: Company, command: list[str]) -> int:
    """A command in this process, on the services of the test; returns its exit code."""
    app = App(_services=shop.services)
    return int(
        cli.complete().commands[command[0]].main(command[1:], standalone_mode=False, obj=app)
    )


def tracebacks(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.exc_info is not None for record in caplog.records)


def states(shop: Company) -> list[str]:
    return [shop.account(email).state for email in (ANN, BOB)]


def set_all(shop: Company, **values: object) -> None:
    with shop.services.db.session() as session:
        for account in accounts.everyone(session):
            for name, value in values.items():
                setattr(account, name, value)


@pytest.mark.parametrize(
    ("failure", "made"),
    [(KeyError("secret"), Defect), (Transient("away", side="google"), Transient)],
)
def test_an_item_is_contained(
    failure: Exception, made: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> WatcherError:
        raise failure

    assert type(contained(work, lambda error: error)) is made
    assert tracebacks(caplog) == (made is Defect)


def test_a_ledger_that_is_away_ends_the_loop() -> None:
    def work() -> None:
        raise LedgerAway("gone")

    with pytest.raises(LedgerAway):
        contained(work, lambda _: None)


@sqlite_only
def test_renewal(shop: Company, monkeypatch: Patch, caplog: pytest.LogCaptureFixture) -> None:
    shop.later(days=6, hours=12)
    breaks_once(monkeypatch, renewal, "open_channel")
    found = renewal.renew_due(shop.services)
    assert [each.outcome for each in found] == ["failed", "renewed"]
    assert found[0].message == "internal error: KeyError"
    assert tracebacks(caplog) == 1


@sqlite_only
def test_a_watch_that_meets_a_defect_is_paced(shop: Company, monkeypatch: Patch) -> None:
    shop.later(days=6, hours=12)
    calls = breaks_once(monkeypatch, CalendarClient, "watch")
    for _ in range(3):
        renewal.renew_due(shop.services)
    assert len(calls) == 2, "one for each calendar: what failed is not asked again at once"


@sqlite_only
def test_old_channels(shop: Company, monkeypatch: Patch) -> None:
    shop.later(days=6, hours=12)
    renewal.renew_due(shop.services)
    for email in (ANN, BOB):
        assert shop.sync(email) == "done"
    calls = breaks_once(monkeypatch, renewal, "stop_channel")
    assert renewal.stop_retired(shop.services) == 1
    assert len(calls) == 2
    assert renewal.stop_retired(shop.services) == 1, "it is tried again"


@sqlite_only
def test_rings(shop: Company, monkeypatch: Patch) -> None:
    shop.later(minutes=40)
    calls = breaks_once(monkeypatch, Doorbell, "ring")
    assert timetable.poll(shop.services) == 1
    assert len(calls) == 2


@sqlite_only
def test_the_sweep(shop: Company, monkeypatch: Patch) -> None:
    shop.later(minutes=40)
    timetable.poll(shop.services)
    shop.services.doorbell.client.flushall()
    shop.later(minutes=2)
    breaks_once(monkeypatch, Doorbell, "ring")
    assert timetable.sweep(shop.services) == 1


@sqlite_only
def test_access_tokens(shop: Company, monkeypatch: Patch) -> None:
    shop.later(minutes=55)
    calls = breaks_once(monkeypatch, AccessTokens, "renew")
    assert tokens.refresh(shop.services) == 1
    assert len(calls) == 2
    paused = [bool(shop.account(email).refresh_retry_at) for email in (ANN, BOB)]
    assert sorted(paused) == [False, True], "what met the defect is not asked again at once"


@sqlite_only
def test_authorisations_in_the_desk(shop: Company, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Services, "desk_token", lambda *_: "1//another")
    set_all(shop, state="needs_reconnect", cause="invalid_grant", source="erpnext")
    breaks_once(monkeypatch, Services, "desk_token")
    monkeypatch.setattr(revive, "revive", lambda *_: None)
    assert revive.look_in_desk(shop.services) == 1


@sqlite_only
def test_users_who_are_back(shop: Company, monkeypatch: Patch) -> None:
    set_all(shop, state="paused", cause=Cause.USER_REMOVED)
    breaks_once(monkeypatch, users, "revive")
    assert users.look_at_users(shop.services) == 1
    assert states(shop) == ["paused", "active"]


@sqlite_only
def test_disconnections_that_broke_off(shop: Company, monkeypatch: Patch) -> None:
    before = shop.services.clock() - timedelta(hours=1)
    set_all(shop, state="disconnecting", on_disconnect="keep", since=before)
    breaks_once(monkeypatch, disconnect, "stop_all")
    assert disconnect.finish(shop.services) == 1
    assert states(shop) == ["disconnecting", "disconnected"]


@sqlite_only
def test_erased_rows(shop: Company, monkeypatch: Patch) -> None:
    now = shop.services.clock()
    with shop.services.db.session() as session:
        erased.note(session, {"EV1": "key one", "EV2": "key two"}, now - timedelta(hours=1))
    real = EventMirror.look_again

    def look(self: EventMirror, rows: dict[str, str]) -> None:
        if "EV1" in rows:
            raise KeyError("a defect")
        real(self, rows)

    monkeypatch.setattr(EventMirror, "look_again", look)
    assert erasures.look_after_erased(shop.services) == 1
    with shop.services.db.session() as session:
        assert [row.row_name for row in erased.due(session, now, 9)] == ["EV1"]


@sqlite_only
def test_notices(shop: Company, monkeypatch: Patch) -> None:
    now = shop.services.clock() - timedelta(hours=1)
    with shop.services.db.session() as session:
        for email in (ANN, BOB):
            ledger.add(session, key=email, account=email, state="failing", cause="auth", now=now)
    monkeypatch.setattr(tell, "observe", lambda _: [])
    monkeypatch.setattr(decide, "usable", lambda *_: ["mail"])
    monkeypatch.setattr(media, "send", lambda *_: None)
    calls = breaks_once(monkeypatch, media, "send")
    assert tell.tell(shop.services) == 1
    assert len(calls) == 2
    with shop.services.db.session() as session:
        assert {row.who: row.error for row in ledger.lasting(session)} == {
            ANN: "internal error: KeyError",
            BOB: "",
        }


@sqlite_only
@pytest.mark.parametrize(
    ("command", "owner", "name"),
    [
        (["resync", "--all", "--json"], syncing, "work_off"),
        (["verify", "--json"], comparing, "compare"),
        (["tokens", "renew", "--all", "--json"], AccessTokens, "renew"),
        (["channels", "renew", "--all", "--force", "--json"], renewal, "open_channel"),
    ],
)
def test_commands_for_many(
    shop: Company, monkeypatch: Patch, command: list[str], owner: object, name: str
) -> None:
    calls = breaks_once(monkeypatch, owner, name)
    assert run(shop, command) == 3, "partly"
    assert len(calls) == 2


@sqlite_only
def test_an_import(shop: Company, monkeypatch: Patch) -> None:
    people = shop.folder / "people.csv"
    people.write_text(f"email\n{ANN}\n{BOB}\n")
    calls = breaks_once(monkeypatch, accounts, "find")
    command = ["accounts", "import", "--from", str(people), "--json"]
    assert run(shop, command) == 3
    assert len(calls) > 1
