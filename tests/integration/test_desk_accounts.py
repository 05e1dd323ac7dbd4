"""Accounts by way of ERPNext: Connected App and Token Cache, over HTTP between real servers."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.company import ADMIN, ANN, BOB, CLIENT_ID, CLIENT_SECRET, Company
from watcher.accounts.revive import look_in_desk
from watcher.erpnext import known
from watcher.errors import AccountDead, WatcherError
from watcher.ledger import accounts, overview
from watcher.ledger.states import AccountState
from watcher.notices.tell import tell

SCOPES = ["openid", "email", "https://www.googleapis.com/auth/calendar.events.readonly"]


@pytest.fixture
def app(company: Company) -> str:
    """The Connected App as the command makes it."""
    made = company.watcher("erpnext", "setup", "--connected-app", "--json")
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["connected_app"]["name"])


def authorise(company: Company, app: str, email: str) -> str:
    """As Frappe's own consent flow leaves it. Returns the refresh token."""
    token = company.google.oauth.mint_refresh(CLIENT_ID, email, SCOPES)
    company.site.add_token(app, email, token)
    return token


def state(company: Company, email: str) -> tuple[str, str]:
    with company.services.db.session() as session:
        account = accounts.get(session, email)
        return account.state, account.cause


def test_setup_makes_the_app_once_and_says_what_to_register(company: Company) -> None:
    first = company.watcher("erpnext", "setup", "--connected-app")
    assert first.returncode == 0, first.stderr
    assert "redirect URI to register at Google: " in first.stderr
    assert "/app/connected-app/" in first.stderr
    assert CLIENT_SECRET not in first.stderr + first.stdout
    again = company.watcher("erpnext", "setup", "--connected-app", "--json")
    assert json.loads(again.stdout)["connected_app"]["created"] is False
    rows = company.site.rows("Connected App")
    assert len(rows) == 1
    assert rows[0]["revocation_uri"] == company.environ["WATCHER_GOOGLE_REVOKE_URL"]


def test_everyone_who_authorised_is_imported_and_mirrored(company: Company, app: str) -> None:
    authorise(company, app, ANN)
    authorise(company, app, BOB)
    company.google.insert_event(BOB, company.timed(summary="Tasting"))
    done = company.watcher("accounts", "import", "--via", "erpnext", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["email"] for one in json.loads(done.stdout)] == [ANN, BOB]
    assert company.sync(BOB) == "done"
    assert company.subjects(BOB) == ["Tasting"]


def test_the_refresh_token_is_never_stored_here(company: Company, app: str) -> None:
    token = authorise(company, app, ANN)
    assert company.watcher("accounts", "add", ANN, "--via", "erpnext").returncode == 0
    with company.services.db.session() as session:
        account = accounts.get(session, ANN)
        assert account.refresh_token is None
        assert account.access_token is not None
    ledger = company.folder / "ledger.sqlite3"
    assert not ledger.exists() or token.encode() not in ledger.read_bytes()


def todos(company: Company) -> list[tuple[str, str]]:
    rows = company.site.rows("ToDo")
    return [(row["status"], row["description"]) for row in rows if row["allocated_to"] == ANN]


def test_who_has_not_authorised_is_invited_by_a_todo_and_taken_up_with_the_consent(
    company: Company, app: str
) -> None:
    done = company.watcher("accounts", "add", ANN, "--via", "erpnext", "--json")
    assert done.returncode == 0, done.stderr
    page = f"/app/connected-app/{app}"
    assert json.loads(done.stdout)["state"] == "invited"
    assert json.loads(done.stdout)["link"].endswith(page)
    assert state(company, ANN) == ("invited", "")
    found = overview.look(company.services)
    assert (found.accounts.invited, found.problems) == (1, ()), "nobody has to mend anything"
    tell(company.services)
    ((status, text),) = todos(company)
    assert status == "Open"
    assert page in text
    assert "Who will see it:" in text
    tell(company.services)
    assert look_in_desk(company.services) == 0
    again = company.watcher("accounts", "resume", ANN)
    assert again.returncode == 4
    assert page in again.stderr.replace("\n", "")
    assert state(company, ANN) == ("invited", "")
    authorise(company, app, ANN)
    assert look_in_desk(company.services) == 1
    assert state(company, ANN) == ("active", "")
    tell(company.services)
    assert [status for status, _ in todos(company)] == ["Closed"]
    assert company.sync(ANN) == "done"


def test_who_is_invited_in_the_desk_and_authorises_another_account_is_told_why(
    company: Company, app: str
) -> None:
    company.site.add_token(app, ANN, None)  # a row without a token is no wrong API key
    assert company.watcher("accounts", "add", ANN, "--via", "erpnext").returncode == 0
    tell(company.services)
    token = company.google.oauth.mint_refresh(CLIENT_ID, BOB, SCOPES)
    company.site.add_token(app, ANN, token)
    assert look_in_desk(company.services) == 0
    assert state(company, ANN) == ("needs_reconnect", "wrong_account")
    tell(company.services)
    assert [status for status, _ in todos(company)] == ["Closed"], "the other comes in a minute"


def test_six_who_are_invited_in_the_desk_have_no_common_trouble(company: Company, app: str) -> None:
    with company.services.db.session() as session:
        for n in range(6):
            email = f"e{n}@scoopjoy.example"
            company.site.add_user(email)
            accounts.add(
                session,
                email=email,
                source="erpnext",
                state=AccountState.INVITED,
                now=company.services.clock(),
                erpnext_user=email,
            )
    assert tell(company.services) == 6


def test_a_dead_grant_is_not_tried_again_and_a_new_one_is_picked_up(
    company: Company, app: str
) -> None:
    authorise(company, app, ANN)
    assert company.watcher("accounts", "import", "--via", "erpnext").returncode == 0
    company.google.insert_event(ANN, company.timed(summary="Shift"))
    assert company.sync(ANN) == "done"
    name = company.rows(ANN)[0]["name"]
    granted = company.account(ANN).granted_at
    assert granted is not None, "else an app in Testing, which ends it after 7 days, is not seen"
    assert abs(granted - company.services.clock()) < timedelta(minutes=1)
    company.google.revoke_user(ANN)
    with pytest.raises(AccountDead):
        company.services.tokens.renew(company.calendar(ANN).account_id)
    with company.services.db.session() as session:
        account = accounts.get(session, ANN)
        accounts.needs_reconnect(session, account.id, "invalid_grant", company.services.clock())
    asked = company.google.log.counts()["token"]
    assert look_in_desk(company.services) == 0
    assert company.google.log.counts()["token"] == asked, "Google was asked about a dead token"
    authorise(company, app, ANN)
    assert look_in_desk(company.services) == 1
    assert state(company, ANN) == ("active", "")
    assert company.sync(ANN) == "done"
    assert [row["name"] for row in company.rows(ANN)] == [name]


def refused(company: Company) -> dict[str, str]:
    """What an import says of everybody."""
    done = company.watcher("accounts", "import", "--via", "erpnext", "--json")
    return {one["email"]: one["outcome"] for one in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("chosen", "ticked", "cause"),
    [(BOB, SCOPES, "wrong_account"), (ANN, SCOPES[:2], "missing_scope")],
)
def test_who_was_chosen_and_what_was_ticked_in_the_desk_is_looked_at(
    company: Company, app: str, chosen: str, ticked: list[str], cause: str
) -> None:
    """Frappe asks for neither. What was put right in the Desk is picked up by itself."""
    token = company.google.oauth.mint_refresh(CLIENT_ID, chosen, ticked)
    company.site.add_token(app, ANN, token)
    company.google.insert_event(BOB, company.timed(summary="Bob's own"))
    said = refused(company)[ANN]
    assert "in ERPNext's Desk" in said
    assert f"/app/connected-app/{app}" in said, "and where it is mended"
    assert state(company, ANN) == ("needs_reconnect", cause)
    shown = company.watcher("status", "--json").stdout
    assert f"/app/connected-app/{app}" in shown, "the admin sees where"
    assert look_in_desk(company.services) == 0
    asked = company.google.log.counts()["token"]
    assert look_in_desk(company.services) == 0
    assert company.google.log.counts()["token"] == asked, "what Google has refused is known"
    authorise(company, app, ANN)
    assert look_in_desk(company.services) == 1
    assert state(company, ANN) == ("active", "")
    assert company.sync(ANN) == "done"
    assert company.subjects(ANN) == []


def test_an_import_leaves_alone_what_works_otherwise_or_is_paused(
    company: Company, app: str
) -> None:
    """Ann consented and has only begun in the Desk; Bob is paused."""
    company.consented(ANN)
    company.site.add_token(app, ANN, None)
    authorise(company, app, BOB)
    assert company.watcher("accounts", "add", BOB, "--via", "erpnext").returncode == 0
    assert company.watcher("accounts", "pause", BOB).returncode == 0
    assert refused(company) == {
        ANN: "left as it is: connected by oauth",
        BOB: "left as it is: paused",
    }
    assert state(company, BOB) == ("paused", "by_admin")
    done = company.watcher("accounts", "add", ANN, "--via", "erpnext")
    assert done.returncode == 4
    account = company.account(ANN)
    assert (account.state, account.source) == ("active", "oauth"), "what works goes on"
    assert account.refresh_token is not None
    authorise(company, app, ANN)
    assert company.watcher("accounts", "add", ANN, "--via", "erpnext").returncode == 0
    account = company.account(ANN)
    assert (account.source, account.refresh_token) == ("erpnext", None)


def test_a_connected_app_that_was_made_anew_is_found(
    company: Company, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "APP_SECONDS", 0.0)
    authorise(company, app, ANN)
    assert company.watcher("accounts", "import", "--via", "erpnext").returncode == 0
    assert company.services.desk_app() == app
    company.site.remove("Connected App", app)
    company.google.expire_access_tokens()
    assert company.sync(ANN) == "failed"
    assert company.calendar(ANN).cause == "no_connected_app"
    assert "erpnext setup --connected-app" in company.watcher("status").stdout
    company.watcher("erpnext", "setup", "--connected-app")
    anew = company.services.desk_app()
    assert anew != app
    authorise(company, anew, ANN)
    assert company.sync(ANN) == "done"


def test_an_app_that_was_changed_is_told(company: Company, app: str) -> None:
    row = company.site.row("Connected App", app)
    assert row is not None
    company.site.put("Connected App", row | {"client_secret": "x", "revocation_uri": ""})
    done = company.watcher("erpnext", "setup", "--connected-app")
    assert done.returncode == 1
    assert "client secret is not that of" in done.stderr
    assert "revocation_uri is not" in done.stderr


def test_administrator_is_nobodys_calendar(company: Company, app: str) -> None:
    authorise(company, app, ANN)
    company.site.add_token(app, "Administrator", "a token")
    outcomes = refused(company)
    assert outcomes[ANN] == "connected"
    assert outcomes["Administrator"].startswith("left out: not an e-mail address (watcher accounts")
    with company.services.db.session() as session:
        assert [account.email for account in accounts.everyone(session)] == [ANN]


def test_without_the_app_the_command_that_makes_it_is_named(company: Company) -> None:
    with pytest.raises(WatcherError) as caught:
        company.services.desk_app()
    assert "erpnext setup --connected-app" in caught.value.next_step
    assert company.watcher("accounts", "import", "--via", "erpnext").returncode == 5


def test_all_company_users_of_erpnext(company: Company) -> None:
    company.site.add_user("supplier@elsewhere.example")
    done = company.watcher("accounts", "import", "--from", "erpnext", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["email"] for one in json.loads(done.stdout)] == [ADMIN, ANN, BOB]
