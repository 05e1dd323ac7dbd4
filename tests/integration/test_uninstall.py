"""``watcher uninstall``: nothing stays at Google, in ERPNext what was chosen; others' things are
left alone, and a run that breaks off anywhere is finished by the next one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, inspect

from tests.company import ANN, BOB, CLIENT_ID, Company
from tests.integration.test_accounts_endings import revoked
from tests.integration.test_cli_runner import run
from watcher.accounts import uninstall as removing
from watcher.accounts.uninstall import Choices, Uninstall
from watcher.channels.registry import open_channel
from watcher.cli import cli
from watcher.cli import uninstall as commands
from watcher.erpnext import connected_app, desk, dragging, lines
from watcher.erpnext.client import ErpNextClient
from watcher.errors import Transient, UserError
from watcher.google.client import CalendarClient
from watcher.google.endpoints import OAUTH_SCOPES
from watcher.ledger import notices, presence
from watcher.ledger import removal as last
from watcher.services import Services

pytestmark = pytest.mark.one_shape("sqlite")

OURS = ("custom_google", "custom_synced_from")
EVERYTHING = Choices(rows="delete", fields="delete")
MANUAL = {"doctype": "Event", "subject": "By hand", "starts_on": "2030-01-01 09:00:00"}


@pytest.fixture
def running(company: Company) -> Company:
    """Ann consented, Bob is mirrored by delegation; the Desk is fit; a ToDo is open; somebody has
    an Event of his own."""
    company.setup_erpnext()
    desk.fit(company.services.erpnext)
    company.consented(ANN)
    company.add(BOB)
    for email in (ANN, BOB):
        for name in ("Tasting", "Stocktaking"):
            company.google.insert_event(email, company.timed(summary=name))
        assert company.sync(email) == "done"
    for email in (ANN, BOB):
        if not company.google.live_channels(email):
            open_channel(company.services, company.calendar(email).id, instead_of=None)
    client = company.services.erpnext
    client.insert({**MANUAL, "event_type": "Public"})
    made = client.insert({"doctype": "ToDo", "allocated_to": ANN, "description": "reconnect"})
    with company.services.db.session() as session:
        now = company.services.clock()
        told = notices.add(session, key="k", account=ANN, state="x", cause="y", now=now)
        told.todo = made["name"]
    return company


def ending(services: Services, choices: Choices) -> removing.Outcome:
    return Uninstall(services, choices).run()


def own_fields(company: Company) -> list[str]:
    names = [str(row["fieldname"]) for row in company.site.rows("Custom Field")]
    return [name for name in names if name.startswith(OURS)]


def manual(company: Company) -> list[dict[str, Any]]:
    return [row for row in company.site.events() if row["subject"] == "By hand"]


def is_out(company: Company) -> None:
    """Nothing of Watcher is left on either side, and what is not Watcher's is as it was."""
    assert company.google.live_channels() == []
    assert revoked(company)
    assert company.site.events() == manual(company)
    assert len(manual(company)) == 1
    assert own_fields(company) == []
    assert company.site.rows("Property Setter") == []
    assert company.site.rows("Client Script") == []
    assert [row["status"] for row in company.site.rows("ToDo")] == ["Closed"]


def test_nothing_stays_on_either_side(running: Company) -> None:
    dragging.stop(running.services.erpnext)
    before = manual(running)
    outcome = ending(running.services, EVERYTHING)
    assert outcome.left == []
    assert (outcome.done["accounts"], outcome.done["todos"]) == (2, 1)
    is_out(running)
    assert manual(running) == [
        {name: value for name, value in row.items() if not name.startswith(OURS)} for row in before
    ]
    assert {running.account(email).state for email in (ANN, BOB)} == {"disconnected"}
    again = ending(running.services, EVERYTHING)
    assert (again.done, again.left) == ({}, [])


def test_what_is_kept_stays_as_it_is(running: Company) -> None:
    rows, fields = running.site.events(), own_fields(running)
    outcome = ending(running.services, Choices())
    assert outcome.left == []
    assert running.google.live_channels() == []
    assert revoked(running)
    assert running.site.events() == rows
    assert set(own_fields(running)) == set(fields) - {lines.NOTE, lines.WARNING}
    assert running.site.rows("Property Setter") == [], "or people could not edit these events"
    assert running.site.rows("Translation") == []
    # Later the admin wants the events gone as well, although the accounts are disconnected.
    assert ending(running.services, EVERYTHING).done["rows"] == 4
    is_out(running)


def test_broken_off_again_and_again_it_is_finished(
    running: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after some calls to Google or ERPNext, each time after a few more."""
    dice, left = random.Random(8), [0]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*args, **named)

        return call

    monkeypatch.setattr(ErpNextClient, "_send", counting(ErpNextClient._send))
    monkeypatch.setattr(CalendarClient, "stop", counting(CalendarClient.stop))
    killed = 0
    for calls in range(1, 60):
        left[0] = calls + dice.randrange(4)
        try:
            outcome = ending(running.services, EVERYTHING)
        except KeyboardInterrupt:
            killed += 1
            continue
        break
    monkeypatch.undo()
    assert killed >= 10
    assert outcome.left == []
    is_out(running)


def test_it_refuses_while_watcher_runs_and_shows_its_figures_all_the_same(running: Company) -> None:
    with running.services.db.session() as session:
        me = presence.Me(name="web-1", kind="web", host="here")
        presence.begin(session, me, running.services.clock())
    told = run(running, "uninstall", "--dry-run", "--rows", "delete")
    for words in (
        "stop 2 watch channels",
        "revoke the permission of 1 employee",
        "forget 1 employee connected by delegation",
        "close 1 ToDo",
        "delete 4 mirrored events",
        "keep 10 custom fields",
        "keep ",
    ):
        assert words in told.says, told.says
    assert len(running.google.live_channels()) == 2
    run(running, "uninstall", "--yes", code=2, says=["Watcher is running (web 1)", "stop it first"])
    assert len(running.google.live_channels()) == 2
    running.later(seconds=100)
    assert ending(running.services, Choices()).left == []


def test_one_that_fails_holds_nothing_up(running: Company) -> None:
    running.google.add_fault(match="POST /revoke", status=503, count=1)
    done = run(running, "uninstall", "--yes", "--data", "--json", code=3)
    (left,) = done.data["left"]
    assert left["what"] == ANN
    assert "run it" in left["next_step"] or "again" in left["next_step"]
    assert done.data["deleted"] == [], "the ledger is needed for what is left"
    assert running.google.live_channels() == []
    assert running.account(BOB).state == "disconnected"
    again = run(running, "uninstall", "--yes", "--json")
    assert again.data["left"] == []
    assert revoked(running)


def test_without_erpnext_google_is_ended_all_the_same(running: Company) -> None:
    """What an incident needs: every permission revoked, whatever else is down."""
    running.site.add_fault(status=503, count=1000)
    outcome = ending(running.services, Choices())
    assert running.google.live_channels() == []
    assert revoked(running)
    assert {left.what for left in outcome.left} >= {"what is in ERPNext"}
    running.site.clear_faults()
    assert ending(running.services, EVERYTHING).left == []
    is_out(running)


def test_while_google_is_away_it_does_not_ask_for_everybody(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.setup_erpnext()
    people = [f"p{n}@scoopjoy.test" for n in range(6)]
    for email in people:
        company.google.add_user(email)
        company.consented(email)
    asked: list[str] = []

    def away(_services: Services, email: str, **_: Any) -> None:
        asked.append(email)
        raise Transient("Google did not answer", side="google")

    monkeypatch.setattr(removing, "disconnect", away)
    outcome = ending(company.services, Choices())
    assert asked == people[:3]
    assert [left.what for left in outcome.left] == [*people[:3], "3 more accounts"]


def test_rows_and_fields_of_another_installation_stay(running: Company) -> None:
    (row,) = running.site.events()[:1]
    name = running.services.erpnext.insert(
        {
            **MANUAL,
            "custom_google_sync_key": "f" * 64,
            "custom_google_account": "else@other.test",
            "custom_synced_from": row["custom_synced_from"],
        }
    )["name"]
    fields = own_fields(running)
    outcome = ending(running.services, EVERYTHING)
    (left,) = outcome.left
    assert left.what == "custom fields"
    assert "else@other.test" in left.why
    assert name in {each["name"] for each in running.site.events()}
    assert set(own_fields(running)) == set(fields) - {lines.NOTE, lines.WARNING}


def test_who_only_authorised_the_connected_app_is_revoked_too(company: Company) -> None:
    assert company.watcher("erpnext", "setup", "--connected-app").returncode == 0
    token = company.google.oauth.mint_refresh(CLIENT_ID, BOB, OAUTH_SCOPES)
    company.site.add_token(company.services.desk_app(), BOB, token)
    assert ending(company.services, Choices(fields="delete")).left == []
    assert revoked(company, BOB)
    assert company.site.rows("Token Cache") == []
    assert company.site.rows(connected_app.DOCTYPE) == []


def test_an_api_user_with_the_role_watcher_needs_an_admins_key_for_the_rest(
    running: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.give_role()
    outcome = ending(running.services, EVERYTHING)
    (left,) = outcome.left
    assert left.what == "forms, lists and fields in ERPNext"
    assert "--admin-key" in left.step
    assert running.site.events() == manual(running), "rows are the API user's own to delete"
    assert running.google.live_channels() == []
    boss = running.site.add_user("boss@scoopjoy.test", system_manager=True)
    monkeypatch.setenv("ERPNEXT_ADMIN_KEY", ":".join(boss))
    options = ("--rows", "delete", "--fields", "delete", "--yes")
    told = run(running, "uninstall", *options, says=["delete the role Watcher"])
    assert "left:" not in told.says
    assert boss[1] not in told.out + told.err
    is_out(running)
    roles = {row["name"] for row in running.site.rows("Role")}
    assert not roles & {"Watcher", "Super Email User"}
    assert running.site.rows("Custom DocPerm") == []
    row = running.site.row("User", "integration@scoopjoy.test")
    assert row is not None
    assert not running.site.is_system_manager("integration@scoopjoy.test"), "it got no role instead"


@pytest.mark.both_shapes
def test_with_data_the_ledger_goes_last(running: Company, tmp_path: Path) -> None:
    folder = Path(running.environ["WATCHER_DATA_DIR"])
    (folder / "valkey").mkdir(parents=True)
    (folder / "ours.txt").write_text("not Watcher's")
    keys = tmp_path / "keys"
    keys.write_text(running.environ.pop("WATCHER_SECRET_KEYS"))
    running.environ["WATCHER_SECRET_KEYS_FILE"] = str(keys)
    done = run(running, "uninstall", "--yes", "--data", "--json")
    assert str(keys) in done.data["deleted"]
    assert not keys.exists()
    assert [path.name for path in folder.iterdir()] == ["ours.txt"]
    keys.write_text("k" * 40)  # as if it had broken off before this one
    again = run(running, "uninstall", "--yes", "--data", "--json")
    assert again.data["deleted"] == [str(keys)]
    engine = create_engine(running.environ["WATCHER_DATABASE_URL"])
    if engine.dialect.name != "sqlite":
        assert inspect(engine).get_table_names() == []
    engine.dispose()
    run(running, "status", code=2)


def test_a_file_that_may_not_be_deleted_is_named_and_the_others_go(
    running: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file of a service is root's."""
    keys = tmp_path / "keys"
    keys.write_text(running.key)
    running.environ["WATCHER_SECRET_KEYS_FILE"] = str(keys)
    del running.environ["WATCHER_SECRET_KEYS"]
    (Path(running.environ["WATCHER_DATA_DIR"]) / "valkey").mkdir(parents=True)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == keys:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = last.remove(running.settings, (keys,))
    assert done.stay == {keys: "Permission denied"}
    assert {path.name for path in done.gone} >= {"ledger.sqlite3", "valkey"}


def test_the_link_for_sudo_is_named_also_when_it_leads_nowhere(
    running: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "watcher"
    link.symlink_to(tmp_path / "gone")
    monkeypatch.setattr(commands, "LINK", link)
    told = CliRunner().invoke(cli, ["uninstall", "--yes"], env=running.environ)
    assert str(link) in told.output


def test_it_asks_first(running: Company) -> None:
    run(running, "uninstall", code=2, says=["Do all of this?", "add --yes"])
    assert len(running.google.live_channels()) == 2


def test_processes_are_looked_for_again_after_the_question(running: Company) -> None:
    with running.services.db.session() as session:
        me = presence.Me(name="cron-1", kind="cron", host="here")
        presence.begin(session, me, running.services.clock())
    with pytest.raises(UserError, match="cron 1"):
        ending(running.services, Choices())
