"""How an account pauses or ends: its ERPNext user is gone, it is disconnected, a run breaks off."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.company import ANN, BOB, CLIENT_ID, DOMAIN, Company
from watcher.accounts import disconnect as ending
from watcher.accounts.disconnect import disconnect, finish
from watcher.accounts.users import look_at_users
from watcher.accounts.verbs import add_calendar
from watcher.channels.registry import open_channel
from watcher.errors import LeaseLost, Overtaken, Transient
from watcher.google import fetching
from watcher.google.client import CalendarClient
from watcher.google.endpoints import OAUTH_SCOPES
from watcher.ledger import accounts, leases, overview
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.states import AccountState
from watcher.sync.work import work_off

pytestmark = pytest.mark.one_shape("sqlite")

OUTLET = "outlet@group.calendar.google.com"


@pytest.fixture
def ann(company: Company) -> Company:
    """Ann consented and is mirrored, with two events."""
    company.setup_erpnext()
    company.consented(ANN)
    for name in ("Tasting", "Stocktaking"):
        company.google.insert_event(ANN, company.timed(summary=name))
    assert company.sync(ANN) == "done"
    return company


def problems(company: Company) -> list[str]:
    services = company.services
    with services.db.session() as session:
        found = overview.status(services.db, session, services.clock(), {"live": 0}).as_json()[
            "problems"
        ]
    return [str(problem["cause"]) for problem in found]


# --- the ERPNext user is gone -------------------------------------------------------------


def test_a_removed_user_pauses_the_account_until_they_are_back(ann: Company) -> None:
    assert look_at_users(ann.services) == 0
    ann.site.remove_user(ANN)
    assert look_at_users(ann.services) == 1
    account = ann.account()
    assert (account.state, account.cause) == ("paused", "erpnext_user_removed")
    assert "erpnext_user_removed" in problems(ann)
    ann.google.insert_event(ANN, ann.timed(summary="Meanwhile"))
    assert ann.sync() == "idle"
    ann.site.add_user(ANN)
    assert look_at_users(ann.services) == 1
    assert ann.account().state == "active"
    assert ann.sync() == "done"
    assert "Meanwhile" in ann.subjects()


def test_who_may_not_read_users_pauses_nobody(
    ann: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API user without that right is shown no user at all, not even himself."""
    monkeypatch.setattr(type(ann.services.erpnext), "enabled_users", lambda *_: set())
    assert look_at_users(ann.services) == 0
    assert ann.account().state == "active"


def test_a_pause_by_hand_is_not_lifted(ann: Company) -> None:
    assert ann.watcher("accounts", "pause", ANN).returncode == 0
    assert look_at_users(ann.services) == 0
    assert ann.account().state == "paused"


# --- disconnecting ------------------------------------------------------------------------


def revoked(company: Company, email: str = ANN) -> bool:
    tokens = [t for t in company.google.oauth.refresh_tokens.values() if t.user == email]
    return bool(tokens) and all(token.revoked for token in tokens)


@pytest.mark.parametrize("events", ["keep", "cancel", "delete"])
@pytest.mark.parametrize("step", ["drain", "stop_all", "_revoke", "treat_events", "purge"])
def test_broken_off_anywhere_it_is_finished_by_another_run(
    ann: Company, monkeypatch: pytest.MonkeyPatch, step: str, events: str
) -> None:
    """Killed after each step in turn; cron finishes it, with what was asked for."""
    whole: Callable[..., Any] = getattr(ending, step, accounts.set_state)

    def breaks_off(*args: Any, **kwargs: Any) -> Any:
        if step == "purge" and args[1] == "disconnecting":
            return whole(*args, **kwargs)
        done = whole(*args, **kwargs) if step != "purge" else None
        raise KeyboardInterrupt(f"killed after {step} ({done})")

    with monkeypatch.context() as patched:
        if step == "purge":
            patched.setattr(accounts, "set_state", breaks_off)
        else:
            patched.setattr(ending, step, breaks_off)
        with pytest.raises(KeyboardInterrupt):
            disconnect(ann.services, ANN, events=events)
    assert ann.account().state == "disconnecting"
    assert finish(ann.services) == 0, "somebody may still be at it"
    ann.later(minutes=16)
    assert "by_admin" in problems(ann)
    assert finish(ann.services) == 1
    account = ann.account()
    assert (account.state, account.refresh_token, account.access_token) == (
        "disconnected",
        None,
        None,
    )
    assert ann.google.live_channels(ANN) == []
    assert revoked(ann)
    rows = ann.rows(live=False)
    assert len(rows) == (0 if events == "delete" else 2)
    assert {row["status"] for row in rows} <= {"Cancelled" if events == "cancel" else "Open"}
    assert finish(ann.services) == 0


@pytest.mark.both_shapes
def test_a_sync_that_is_at_work_ends_first_and_none_begins(ann: Company) -> None:
    """A sync that goes on after the events were deleted would write rows that nobody removes: so it
    ends first."""
    services, number = ann.services, ann.calendar().id
    with services.db.session() as session:
        lease = leases.take_calendar(session, number, "a worker")
    assert lease is not None
    gave_up: list[float] = []

    def work() -> None:
        """A worker that is writing: it prolongs its lease before each batch."""
        with contextlib.suppress(LeaseLost):
            while True:
                with services.db.session() as session:
                    leases.extend_calendar(services.db, session, lease)
                time.sleep(0.05)
        assert len(ann.rows(live=False)) == 2, "nothing is deleted under its hands"
        gave_up.append(time.monotonic())
        with services.db.session() as session:
            leases.release_calendar(session, lease)

    worker = threading.Thread(target=work)
    worker.start()
    disconnect(services, ANN, events="delete")
    worker.join()
    assert gave_up
    assert ann.rows(live=False) == []
    assert work_off(services, number, "test") == "idle"


def test_who_takes_a_lease_looks_again_whether_he_may(
    ann: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is disconnected after the worker has looked at it and before it takes the
    lease."""
    take = leases.take_calendar

    def slow(session: Session, *args: Any) -> Any:
        lease = take(session, *args)
        accounts.get(session, ANN).state = AccountState.DISCONNECTING
        session.flush()
        return lease

    monkeypatch.setattr(leases, "take_calendar", slow)
    assert ann.sync() == "idle"
    assert ann.calendar().lease_owner is None


def test_a_channel_that_is_just_being_opened_does_not_outlive_the_account(
    ann: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has no resource id yet, so that the disconnection cannot stop it."""
    watch = CalendarClient.watch

    def overtaken(client: CalendarClient, *args: Any, **kwargs: Any) -> Any:
        answer = watch(client, *args, **kwargs)
        with ann.services.db.session() as session:
            accounts.get(session, ANN).state = AccountState.DISCONNECTING
        return answer

    monkeypatch.setattr(CalendarClient, "watch", overtaken)
    before = ann.google.live_channels(ANN)
    number, (old,) = ann.calendar().id, before
    with pytest.raises(Overtaken, match="let go"):
        open_channel(ann.services, number, instead_of=old.id)
    assert ann.google.live_channels(ANN) == before
    asked = ann.google.log.counts()["events.watch"]
    with pytest.raises(Overtaken):
        open_channel(ann.services, number, instead_of=old.id)
    assert ann.google.log.counts()["events.watch"] == asked, "nothing is begun any more"


@pytest.mark.parametrize("step", ["drain", "stop_all", "_revoke", "treat_events"])
def test_a_second_run_that_comes_late_undoes_nothing(
    ann: Company, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Meanwhile the first has finished, and Ann is connected again."""

    def overtaken(*_: Any, **__: Any) -> None:
        with ann.services.db.session() as session:
            accounts.get(session, ANN).state = AccountState.DISCONNECTED
        ann.consented(ANN)

    monkeypatch.setattr(ending, step, overtaken)
    disconnect(ann.services, ANN, events="keep")
    assert ann.account().state == "active"
    assert ann.account().refresh_token is not None


def test_an_outage_breaks_it_off_and_loses_nothing(ann: Company) -> None:
    ann.google.add_fault(match="POST /revoke", status=503, count=1)
    with pytest.raises(Transient):
        disconnect(ann.services, ANN, events="cancel")
    assert ann.account().refresh_token is not None, "else nobody could revoke it any more"
    disconnect(ann.services, ANN, events="cancel")
    assert ann.account().state == "disconnected"
    assert ann.subjects() == []


def test_channels_of_calendars_that_were_removed_are_stopped_too(ann: Company) -> None:
    """Google did not answer when the calendar was removed; cron had no time to try again."""
    ann.google.add_calendar(OUTLET, ANN, "Outlet")
    number = add_calendar(ann.services, ANN, OUTLET).number
    assert work_off(ann.services, number, "test") == "done"
    ann.google.add_fault(match="channels/stop", status=400, reason="invalid", count=1)
    done = ann.watcher("calendars", "remove", ANN, OUTLET)
    assert "channel not stopped yet" in done.stderr
    assert len(ann.google.live_channels(OUTLET)) == 1
    disconnect(ann.services, ANN, events="keep")
    assert ann.google.live_channels() == []


def test_what_the_desk_authorised_is_revoked_and_forgotten_too(company: Company) -> None:
    made = company.watcher("erpnext", "setup", "--connected-app", "--json")
    assert made.returncode == 0, made.stderr
    app = company.services.desk_app()
    token = company.google.oauth.mint_refresh(CLIENT_ID, BOB, OAUTH_SCOPES)
    company.site.add_token(app, BOB, token)
    assert company.watcher("accounts", "import", "--via", "erpnext").returncode == 0
    assert company.sync(BOB) == "done"
    done = company.watcher("accounts", "disconnect", BOB, "--yes")
    assert done.returncode == 0, done.stderr
    assert revoked(company, BOB)
    assert company.site.rows("Token Cache") == []
    assert company.google.live_channels(BOB) == []
    again = company.watcher("accounts", "import", "--via", "erpnext", "--json")
    assert again.stdout.strip() == "[]"


def test_who_comes_back_after_a_disconnect_is_mirrored_once(ann: Company) -> None:
    disconnect(ann.services, ANN, events="cancel")
    ann.consented(ANN)
    assert ann.sync() == "done"
    assert ann.subjects() == ["Stocktaking", "Tasting"]
    assert len(ann.rows(live=False)) == 2
    with ann.services.db.session() as session:
        assert accounts.get(session, ANN).state == "active"


def test_the_same_person_under_another_address_can_connect(ann: Company) -> None:
    """Google's own number of a person stays when the address changes."""
    with ann.services.db.session() as session:
        number = accounts.get(session, ANN).google_sub
    disconnect(ann.services, ANN, events="delete")
    ann.google.remove_user(ANN)
    renamed = f"ann.new@{DOMAIN}"
    ann.google.add_user(renamed, sub=number)
    ann.site.add_user(renamed)
    ann.google.insert_event(renamed, ann.timed(summary="Tasting"))
    ann.consented(renamed)
    assert ann.sync(renamed) == "done"
    assert ann.subjects(renamed) == ["Tasting"]


# --- a refresh that is under way --------------------------------------------------------------


@pytest.mark.parametrize("way", ["oauth", "service-account"])
def test_a_refresh_under_way_leaves_nothing_behind_a_disconnection(
    company: Company, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Google answers the refresh after the account was disconnected."""
    company.setup_erpnext()
    connect = company.consented if way == "oauth" else company.add
    connect(ANN)
    name = "refresh_user" if way == "oauth" else "refresh_delegated"
    _meanwhile(monkeypatch, name, lambda: disconnect(company.services, ANN, events="keep"))
    with pytest.raises(Transient, match="meanwhile"):
        company.services.tokens.renew(company.account().id)
    kept = company.account()
    assert kept.state == "disconnected"
    assert (kept.access_token, kept.refresh_token, kept.access_expires_at) == (None, None, None)


def test_a_refresh_under_way_does_not_replace_the_token_of_a_new_consent(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.setup_erpnext()
    company.consented(ANN)
    store = LedgerTokens(company.services.db, company.services.keyring)
    number = company.account().id
    new: list[str | None] = []

    def consents_anew() -> None:
        company.consented(ANN)
        new.append(store.grant(number).access_token)

    _meanwhile(monkeypatch, "refresh_user", consents_anew)
    with pytest.raises(Transient, match="meanwhile"):
        company.services.tokens.renew(number)
    assert [store.grant(number).access_token] == new


def _meanwhile(patch: pytest.MonkeyPatch, name: str, happens: Callable[[], object]) -> None:
    real = getattr(fetching, name)

    def slow(*args: object, **kwargs: object) -> object:
        fresh = real(*args, **kwargs)
        happens()
        return fresh

    patch.setattr(fetching, name, slow)
