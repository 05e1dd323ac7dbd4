"""Accounts and calendars from the command line: what is done, said, counted and returned."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
from sqlalchemy import Engine, event

from tests.company import ADMIN, ANN, BOB, Company
from tests.integration.test_cli_runner import run
from watcher.accounts.users import look_at_users
from watcher.channels import renewal
from watcher.cli import accounts as commands
from watcher.cli import common
from watcher.errors import UserError
from watcher.google import delegation
from watcher.ledger import accounts
from watcher.ledger.states import AccountState

NOBODY = "nobody@scoopjoy.test"
OUTLET = "outlet@group.calendar.google.com"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What depends on the kind of database has tests in test_cli.py."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def shop(company: Company) -> Company:
    company.connect()
    return company


def states(company: Company) -> dict[str, str]:
    return {a["email"]: a["state"] for a in run(company, "accounts", "list", "--json").data}


def csv(company: Company, text: str | bytes, name: str = "people.csv") -> str:
    path = company.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# --- add, invite ----------------------------------------------------------------------------


def test_nothing_there_yet_says_how_to_begin(company: Company) -> None:
    for words in (("accounts", "list"), ("calendars", "list"), ("tokens", "list")):
        assert run(company, *words, says=("watcher accounts invite EMAIL",)).out == ""
        assert run(company, *words, "--json").data == []
    assert run(company, "channels", "list", "--json").data == []


def test_add_by_delegation_is_live_at_once(company: Company) -> None:
    company.setup_erpnext()
    done = run(
        company, "accounts", "add", "Ann@ScoopJoy.test", "--via", "service-account", "--json"
    )
    assert done.data == {"email": ANN, "erpnext_user": ANN, "state": "active"}
    company.site.remove_user(BOB)
    run(
        company,
        "accounts",
        "add",
        BOB,
        "--via",
        "service-account",
        says=("is connected", "events carry no user"),
    )
    assert states(company) == {ANN: "active", BOB: "active"}
    # Once more is no harm, and doubles nothing.
    run(company, "accounts", "add", ANN, "--via", "service-account", "--erpnext-user", ADMIN)
    shown = run(company, "accounts", "show", ANN, "--json").data
    assert shown["erpnext_user"] == ADMIN
    assert [c["id"] for c in shown["calendars"]] == [ANN]


def test_add_names_calendars(company: Company) -> None:
    company.setup_erpnext()
    company.google.add_calendar(OUTLET, ANN, "Outlet")
    run(
        company,
        "accounts",
        "add",
        ANN,
        "--via",
        "service-account",
        "--calendar",
        ANN,
        "--calendar",
        OUTLET,
    )
    listed = run(company, "calendars", "list", ANN, "--json").data
    assert {c["calendar"] for c in listed} == {ANN, OUTLET}


@pytest.mark.parametrize(
    ("email", "more", "code", "says"),
    [
        ("ann", (), 2, "e.g. ann@example.com"),
        ("ann@elsewhere.example", (), 2, "or its @domain to WATCHER_DELEGATION_ALLOW"),
        (NOBODY, (), 4, "exists and is active in Google Workspace"),
        (ANN, ("--erpnext-user", "who@scoopjoy.test"), 2, "check the spelling"),
        (ANN, ("--via", "erpnext"), 5, "watcher erpnext setup --connected-app"),
    ],
)
def test_add_refuses_with_the_way_out(
    company: Company, email: str, more: tuple[str, ...], code: int, says: str
) -> None:
    company.setup_erpnext()
    words = ("accounts", "add", email, "--via", "service-account", *more)
    done = run(company, *words, code=code, says=(says,))
    assert done.out == ""
    assert "error:" in done.err
    assert run(company, *words, "--json", code=code).out == ""


def test_a_delegation_that_was_not_granted(company: Company) -> None:
    company.setup_erpnext()
    company.google.delegated_to = []
    says = ("Admin console", "nothing was stored")
    run(company, "accounts", "add", ANN, "--via", "service-account", code=4, says=says)
    assert states(company) == {}, "else the status is unhealthy for an address that was mistyped"
    people = csv(company, f"email\n{ANN}\n{BOB}\n")
    done = run(company, "accounts", "import", "--from", people, "--json", code=4)
    assert [(one["email"], one["code"]) for one in done.data] == [(ANN, 4), (BOB, 4)]


def test_an_invitation_is_a_link_alone_on_stdout(company: Company) -> None:
    done = run(company, "accounts", "invite", ANN)
    assert done.out.startswith(f"{company.public_url}/connect/")
    assert len(done.out.split()) == 1
    assert f"send this link to {ANN}" in done.says
    again = run(company, "accounts", "add", ANN, "--json").data
    assert set(again) == {"email", "link", "valid_days"}
    assert again["link"] != done.out.strip()
    assert states(company) == {ANN: "invited"}
    del company.environ["WATCHER_GOOGLE_CLIENT_SECRET"]
    run(company, "accounts", "invite", ANN, code=2, says=("WATCHER_GOOGLE_CLIENT_SECRET",))


@pytest.mark.parametrize("side", ["google", "erpnext"])
def test_the_other_side_is_away(company: Company, side: str) -> None:
    company.setup_erpnext()
    if side == "google":
        company.set("google_token_url", "http://127.0.0.1:9/token")
        company.google.add_fault(match="/token", status=503)
    else:
        company.set("erpnext_url", "http://127.0.0.1:9")
    done = run(company, "accounts", "add", ANN, "--via", "service-account", code=6)
    assert {"google": "Google", "erpnext": "ERPNext"}[side] in done.says


# --- import ---------------------------------------------------------------------------------


def test_an_import_accounts_for_every_line(company: Company) -> None:
    company.setup_erpnext()
    people = csv(
        company,
        "\ufeffemail,erpnext_user,note\n"
        f'{ANN},,"a, quoted\nnote"\n'
        "nobody,,\n"
        f"{BOB},none@scoopjoy.test,\n"
        f" {BOB} , {ADMIN} ,\n"
        ",,\n"
        f",{ANN},\n"
        "out@elsewhere.example\n"
        f"{ANN.upper()},,\n",
    )
    done = run(company, "accounts", "import", "--from", people, "--json", code=3)
    assert [(one["email"], one["code"]) for one in done.data] == [
        (ANN, 0),
        ("nobody", 2),
        (BOB, 2),
        (BOB, 0),
        ("", 2),
        ("out@elsewhere.example", 2),
        (ANN.upper(), 0),
    ]
    assert states(company) == {ANN: "active", BOB: "active"}
    assert run(company, "accounts", "show", BOB, "--json").data["erpnext_user"] == ADMIN
    told = run(company, "accounts", "import", "--from", people, code=3)
    assert "3 of 7 done" in told.says
    assert told.out == ""
    for line in ("nobody: 'nobody' is not", "out@elsewhere.example: the service account may not"):
        assert line in told.err


@pytest.mark.parametrize(
    "text",
    [
        "Email;ERPNext User\r\nann@scoopjoy.test;\r\n",
        "EMAIL\nann@scoopjoy.test",
        '"email","erpnext_user"\n"ann@scoopjoy.test",""\n',
    ],
)
def test_spreadsheets_write_csv_in_several_ways(company: Company, text: str) -> None:
    company.setup_erpnext()
    run(company, "accounts", "import", "--from", csv(company, text))
    assert states(company) == {ANN: "active"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no column `email`"),
        ("mail\na@b.example\n", "no column `email`"),
        ("email\n", "names nobody"),
        ("email\n,\n \n", "names nobody"),
        (b"email\n\xff\xfe\n", "not a CSV file in UTF-8"),
        (b"\x00\x01", "no column `email`"),
    ],
)
def test_files_that_are_no_list_of_people(
    company: Company, content: str | bytes, says: str
) -> None:
    done = run(company, "accounts", "import", "--from", csv(company, content), code=2)
    assert says in done.says
    assert "do:" in done.err


def test_invitations_for_many(company: Company) -> None:
    people = csv(company, f"email\n{ANN}\nnobody\n{BOB}\n")
    done = run(company, "accounts", "import", "--via", "oauth", "--from", people, code=3)
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[0] for line in lines] == [ANN, BOB]
    assert all("/connect/" in line[1] for line in lines)


def test_import_of_erpnexts_users(company: Company) -> None:
    company.setup_erpnext()
    company.site.add_user("guest@elsewhere.example")
    done = run(company, "accounts", "import", "--from", "erpnext", "--json")
    assert [one["email"] for one in done.data] == sorted([ADMIN, ANN, BOB])


def set_enabled(company: Company, email: str, enabled: int) -> None:
    """As an admin ticks it in ERPNext."""
    row = company.site.row("User", email)
    assert row is not None
    company.site.put("User", row | {"enabled": enabled})


def test_a_nightly_import_takes_up_hires_and_names_leavers(company: Company) -> None:
    company.setup_erpnext()
    nightly = ("accounts", "import", "--from", "erpnext", "--keep")
    done = run(company, *nightly, "--json")
    assert {one["email"] for one in done.data} == {ADMIN, ANN, BOB}
    run(company, "accounts", "disconnect", ADMIN, "--yes")
    company.google.add_user("carla@scoopjoy.test")
    company.site.add_user("carla@scoopjoy.test")
    set_enabled(company, BOB, 0)
    look_at_users(company.services)
    company.google.log.clear()
    done = run(company, *nightly, "--json")
    assert [one["outcome"].partition(",")[0] for one in done.data] == [
        "connected",
        "has left ERPNext",
    ]
    assert [one["email"] for one in done.data] == ["carla@scoopjoy.test", BOB]
    assert not any(ANN in request.path for request in company.google.log.entries())
    assert company.account(ADMIN).state == "disconnected", "he was let go"
    assert "nobody is new" not in run(company, *nightly).err
    set_enabled(company, BOB, 1)
    look_at_users(company.services)
    assert "nobody is new" in run(company, *nightly).err


def test_a_nightly_import_keeps_the_fleet_equal_to_erpnexts_users(company: Company) -> None:
    """Who has left is paused at once, and disconnected a week later."""
    company.setup_erpnext()
    nightly = ("accounts", "import", "--from", "erpnext", "--keep", "--leavers", "delete")
    company.google.insert_event(BOB, company.timed())
    run(company, *nightly)
    assert company.sync(BOB) == "done"
    set_enabled(company, BOB, 0)
    look_at_users(company.services)
    done = run(company, *nightly, says=["until it is disconnected on"])
    assert company.account(BOB).state == "paused"
    assert len(company.rows(BOB)) == 1
    with company.services.db.session() as session:
        accounts.get(session, BOB).since -= timedelta(days=8)
    done = run(company, *nightly, "--json")
    assert [one["email"] for one in done.data] == [BOB]
    assert "disconnected; the events: delete" in done.data[0]["outcome"]
    assert company.account(BOB).state == "disconnected"
    assert company.rows(BOB, live=False) == []
    assert company.google.live_channels(BOB) == []
    assert "nobody is new" in run(company, *nightly).err


def test_most_of_all_do_not_leave_at_once(company: Company) -> None:
    """Somebody has disabled everybody, or another site is asked."""
    company.setup_erpnext()
    long_ago = company.services.clock() - timedelta(days=30)
    with company.services.db.session() as session:
        for number in range(7):
            account = accounts.add(
                session,
                email=f"p{number}@scoopjoy.test",
                source="service-account",
                state=AccountState.PAUSED,
                now=long_ago,
            )
            account.cause = "erpnext_user_removed"
    nightly = ("accounts", "import", "--from", "erpnext", "--keep", "--leavers", "keep")
    done = run(company, *nightly, "--json", code=3)
    stay = [one for one in done.data if one["email"].startswith("p")]
    assert {one["code"] for one in stay} == {7}
    assert company.account("p0@scoopjoy.test").state == "paused"


# --- list, show, pause, resume, disconnect ---------------------------------------------------


def test_list_and_show(shop: Company) -> None:
    run(shop, "accounts", "invite", BOB)
    table = run(shop, "accounts", "list")
    assert [line.split()[:2] for line in table.out.splitlines()[1:]] == [
        [ANN, "active"],
        [BOB, "invited"],
    ]
    listed = run(shop, "accounts", "list", "--json").data
    brief = {"email", "state", "cause", "source", "erpnext_user", "since"}
    assert set(listed[0]) == brief | {"chosen_by_employee"}
    shown = run(shop, "accounts", "show", ANN.upper(), "--json").data
    assert shown["calendars"][0] | {"last_success": None} == {
        "id": ANN,
        "state": "up_to_date",
        "message": "",
        "last_success": None,
        "push": True,
    }
    run(shop, "accounts", "show", ANN, says=(f"{ANN}: up_to_date, last success 20",))


@pytest.mark.parametrize(
    "words",
    [
        ("accounts", "show", NOBODY),
        ("accounts", "pause", NOBODY),
        ("accounts", "resume", NOBODY),
        ("accounts", "disconnect", NOBODY),
        ("calendars", "list", NOBODY),
        ("calendars", "add", NOBODY, OUTLET),
        ("calendars", "remove", NOBODY, OUTLET),
        ("channels", "stop", NOBODY),
        ("channels", "renew", NOBODY),
        ("tokens", "renew", NOBODY),
        ("resync", NOBODY),
        ("verify", NOBODY),
    ],
    ids=" ".join,
)
def test_who_is_not_there_is_5_whatever_is_asked(company: Company, words: tuple[str, ...]) -> None:
    done = run(company, *words, code=5, says=(NOBODY, "watcher accounts list"))
    assert done.out == ""


def test_without_an_allow_list_there_is_nobody_whom_the_service_account_may_act_for(
    company: Company,
) -> None:
    company.setup_erpnext()
    company.set("delegation_allow", "")
    run(
        company,
        "accounts",
        "import",
        "--from",
        "erpnext",
        code=2,
        says=("WATCHER_DELEGATION_ALLOW",),
    )
    invited = run(company, "accounts", "import", "--from", "erpnext", "--via", "oauth", "--json")
    assert [one["email"] for one in invited.data] == [ADMIN, ANN, BOB]


def test_who_sees_an_accounts_events_is_chosen_for_it_alone(shop: Company) -> None:
    shop.google.insert_event(ANN, shop.timed(summary="Appraisal"))
    assert shop.sync() == "done"
    assert [row["event_type"] for row in shop.rows()] == ["Public"]
    (before,) = shop.rows()
    run(shop, "accounts", "set", ANN, "--event-type", "Private", says=(f"{ANN} are Private",))
    assert run(shop, "accounts", "show", ANN, "--json").data["event_type"] == "Private"
    assert shop.sync() == "done"
    (after,) = shop.rows()
    assert (after["event_type"], after["name"]) == ("Private", before["name"])
    assert [share["user"] for share in shop.site.rows("DocShare")] == [ANN]
    owed = shop.calendar().dirty_seq
    run(shop, "accounts", "set", ANN, "--event-type", "Private")
    assert shop.calendar().dirty_seq == owed, "nothing has changed"
    run(shop, "accounts", "set", ANN, "--event-type", "default", says=("Public, as the settings",))
    assert shop.sync() == "done"
    assert [row["event_type"] for row in shop.rows()] == ["Public"]
    run(shop, "accounts", "set", ANN, code=2, says=("--event-type",))
    run(shop, "accounts", "set", NOBODY, "--event-type", "Public", code=5)


def test_pause_and_resume(shop: Company) -> None:
    run(shop, "accounts", "pause", ANN, says=(f"watcher accounts resume {ANN}",))
    paused = run(shop, "accounts", "pause", ANN, "--json").data
    assert paused == {"code": 0, "account": ANN, "state": "paused"}
    shop.google.insert_event(ANN, shop.timed(summary="Meanwhile"))
    assert shop.sync() == "idle"
    status = run(shop, "status", "--json", code=7).data  # no cron runs
    assert (status["accounts"]["paused"], status["calendars"]["paused"]) == (1, 1)
    run(shop, "accounts", "resume", ANN)
    assert states(shop) == {ANN: "active"}
    assert shop.sync() == "done"
    assert shop.subjects() == ["Meanwhile"]
    run(shop, "accounts", "invite", BOB)
    run(shop, "accounts", "pause", BOB, code=2, says=("is invited",))
    run(shop, "accounts", "resume", BOB, code=2, says=(f"watcher accounts invite {BOB}",))


def test_a_delegation_that_was_taken_back(shop: Company) -> None:
    shop.google.delegated_to = []
    shop.google.expire_access_tokens()
    run(shop, "tokens", "renew", ANN, code=4)
    assert states(shop) == {ANN: "needs_reconnect"}
    status = run(shop, "status", "--json", code=7).data
    assert status["accounts"]["needs_reconnect"] == 1
    (problem,) = [p for p in status["problems"] if p["account"] == ANN]
    assert problem["next_step"]
    run(shop, "accounts", "resume", ANN, code=4)
    run(shop, "resync", ANN, code=5, says=("is active",))
    shop.google.delegated_to = [ANN]
    run(shop, "accounts", "resume", ANN)
    assert states(shop) == {ANN: "active"}


def test_disconnect_asks_first(shop: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ((), ("--no-input",)):
        run(shop, *words, "accounts", "disconnect", ANN, code=2, says=("add --yes",))
    assert states(shop) == {ANN: "active"}
    # On a terminal the question is put; anything but yes leaves all as it is.
    app = common.App()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(click, "confirm", confirm)
    with pytest.raises(click.Abort):
        app.confirm("Sure?")
    assert asked == ["Sure?"]
    with pytest.raises(UserError):
        common.App(no_input=True).confirm("Sure?")
    kinds = "keep, cancel, delete"
    run(shop, "accounts", "disconnect", ANN, "--events", "burn", code=2, says=(kinds,))


@pytest.mark.parametrize(
    ("events", "left"), [("keep", ["Open"]), ("cancel", ["Cancelled"]), ("delete", [])]
)
def test_disconnect_treats_the_events_as_asked(shop: Company, events: str, left: list[str]) -> None:
    shop.google.insert_event(ANN, shop.timed())
    assert shop.sync() == "done"
    done = run(shop, "accounts", "disconnect", ANN, "--events", events, "--yes")
    assert "is disconnected" in done.err
    assert [row["status"] for row in shop.rows(live=False)] == left
    assert shop.google.live_channels(ANN) == []
    assert states(shop) == {ANN: "disconnected"}
    run(shop, "accounts", "disconnect", ANN, "--yes", code=2, says=("disconnected already",))


# --- calendars ------------------------------------------------------------------------------


def test_calendars_come_and_go(shop: Company) -> None:
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    shop.google.insert_event(OUTLET, shop.timed(summary="Opening"))
    run(shop, "calendars", "add", ANN, OUTLET, says=("first sync is queued",))
    run(shop, "calendars", "add", ANN, OUTLET)  # twice is no harm
    run(shop, "resync", ANN, "--calendar", OUTLET, says=("created 1",))
    run(shop, "channels", "renew", ANN)
    listed = run(shop, "calendars", "list", "--json").data
    assert [set(c) for c in listed] == [
        {"account", "calendar", "state", "push", "last_success", "message"}
    ] * 2
    table = run(shop, "calendars", "list").out.splitlines()[1:]
    assert [line.partition("  ")[0] for line in table] == [ANN, f"{ANN} {OUTLET}"]
    assert len(shop.google.live_channels(OUTLET)) == 1
    run(shop, "calendars", "remove", ANN, OUTLET, says=("its events stay in ERPNext",))
    assert shop.google.live_channels(OUTLET) == []
    assert shop.subjects() == ["Opening"]
    run(shop, "calendars", "remove", ANN, OUTLET, code=5, says=(f"watcher calendars list {ANN}",))
    assert len(run(shop, "calendars", "list", "--json").data) == 1


def test_a_removal_that_met_an_outage_is_finished(shop: Company) -> None:
    """ERPNext's part by the same command again, Google's by cron."""
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    shop.google.insert_event(OUTLET, shop.timed(summary="Opening"))
    run(shop, "calendars", "add", ANN, OUTLET)
    run(shop, "resync", ANN, "--calendar", OUTLET, says=("created 1",))
    shop.site.add_fault(match=".*", status=503, html=True, count=100)
    shop.google.add_fault(match="channels/stop", status=400, reason="invalid")
    words = ("calendars", "remove", ANN, OUTLET, "--events", "cancel", "--yes")
    run(shop, *words, code=6, says=("channel not stopped yet", "then try again"))
    assert (len(shop.google.live_channels(OUTLET)), shop.subjects()) == (1, ["Opening"])
    shop.site.clear_faults()
    shop.google.clear_faults()
    shop.later(minutes=11)
    renewal.renew_due(shop.services)
    assert shop.google.live_channels(OUTLET) == []
    assert len(shop.google.live_channels(ANN)) == 1
    run(shop, *words, says=("are cancelled",))
    assert shop.subjects() == []


def test_a_calendar_that_google_no_longer_knows(shop: Company) -> None:
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    run(shop, "calendars", "add", ANN, OUTLET)
    shop.google.delete_calendar(OUTLET)
    for _ in range(3):  # it is believed the third time
        run(shop, "resync", ANN, "--calendar", OUTLET, code=5)
    (one,) = [c for c in run(shop, "calendars", "list", "--json").data if OUTLET in c["calendar"]]
    assert one["state"] == "failing"
    assert one["message"]
    assert shop.sync() == "done", "the account's own calendar goes on"


# --- as a person reads it -------------------------------------------------------------------


def _all_of(terminal: int) -> str:
    """What was written to a terminal whose other side is closed; it comes in pieces."""
    pieces = []
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as reader:
        while piece := reader.read(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("columns", [80, 120])
def test_no_word_is_broken_on_a_terminal(shop: Company, columns: int) -> None:
    shop.google.expire_access_tokens()
    shop.google.delegated_to = []
    run(shop, "tokens", "renew", ANN, code=4)
    environ = shop.process_environ | {"COLUMNS": str(columns), "TERM": "dumb"}
    for name in ("accounts", "channels"):
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "watcher", name, "list"],
            env=environ,
            cwd=shop.folder,
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=True,
        )
        os.close(theirs)
        said = _all_of(ours)
        assert done.stderr == b""
        assert ANN in said
        assert max(len(line) for line in said.splitlines()) <= columns
        if name == "accounts":
            assert "needs_reconnect" in said


def test_all_accounts_that_ended_go_on_with_one_command(company: Company) -> None:
    """As after the delegation was mended. An account that an admin has paused stays paused."""
    company.connect()
    company.add(BOB)
    with company.services.db.session() as session:
        for email, state in ((ANN, "needs_reconnect"), (BOB, "paused")):
            accounts.get(session, email).state = AccountState(state)
    run(company, "accounts", "resume", code=2, says=("--all",))
    run(company, "accounts", "resume", "--all", says=(f"{ANN}:", "resumed"))
    assert (company.account(ANN).state, company.account(BOB).state) == ("active", "paused")


def test_an_import_of_many_is_cheap_for_each(company: Company) -> None:
    """Counted, not timed: of a company of thousands each employee costs two calls of Google, two
    transactions that write, and neither a call of ERPNext nor a look at the key's file."""
    company.setup_erpnext()
    emails = [f"hire{number}@scoopjoy.test" for number in range(12)]
    for email in emails:
        company.google.add_user(email)
        company.site.add_user(email)
    app = common.App(_services=company.services)
    company.site.requests.clear()
    company.google.log.clear()
    writes: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        writes.extend(statement.split()[:2] if statement.startswith("BEGIN IMMEDIATE") else ())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(
            delegation, "load_service_account", side_effect=delegation.load_service_account
        ) as loaded:
            people = [(email, None) for email in emails]
            done = list(commands._imported(app, "service-account", people))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [one["outcome"] for one in done] == ["connected"] * 12
    assert [one["email"] for one in done] == emails
    assert sum(company.site.requests.values()) == 1, company.site.requests
    assert company.google.log.counts() == {"token": 12, "events.list": 12}
    assert writes.count("BEGIN") == 2 * 12
    assert loaded.call_count <= 1
