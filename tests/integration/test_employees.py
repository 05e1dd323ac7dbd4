"""The admins' page *Employees*: who is found, and that its buttons do what ``watcher accounts``
does. In this process, against both stand-ins."""

from __future__ import annotations

import io
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.company import ADMIN, ANN, BOB, DOMAIN, Company
from tests.integration.test_ledger_locks import counted
from tests.integration.test_pages import Admin
from tests.postbox import Postbox
from watcher.handlers import office
from watcher.handlers.app import create_app
from watcher.ledger.audit import Audit
from watcher.ledger.models import Account, Calendar
from watcher.ledger.states import AccountState

pytestmark = pytest.mark.one_shape("sqlite")
CREW = [f"crew{number}@{DOMAIN}" for number in range(3)]


@pytest.fixture
def admin(company: Company, postbox: Postbox) -> Admin:
    return Admin(create_app(company.services).test_client())


def fill(company: Company, many: int) -> None:
    """Accounts of every state, each with four calendars."""
    now, states = company.services.clock(), list(AccountState)
    people: list[dict[str, Any]] = [
        {
            "id": number,
            "email": f"p{number:05}@{DOMAIN}",
            "full_name": "" if number % 7 else f"Person {number}",
            "state": states[number % len(states)],
            "source": "oauth",
            "since": now,
            "created_at": now,
        }
        for number in range(1, many + 1)
    ]
    calendars = [
        {
            "account_id": person["id"],
            "google_id": f"{own}-{person['email']}",
            "since": now,
            "changed_at": now - timedelta(minutes=person["id"] % 977),
        }
        for person in people
        for own in range(4)
    ]
    with company.services.db.session() as session:
        session.execute(insert(Account), people)
        session.execute(insert(Calendar), calendars)


def acts(company: Company, what: str) -> list[tuple[str, str]]:
    """What the audit trail has of these acts of the admin: about whom, and how each ended."""
    with company.services.db.reading() as session:
        rows = session.scalars(select(Audit).where(Audit.what == what).order_by(Audit.id))
        return [(row.subject, row.outcome) for row in rows if row.who == ADMIN]


@pytest.mark.both_shapes
def test_five_thousand_take_a_few_queries(company: Company, admin: Admin) -> None:
    fill(company, 5_000)
    admin.get("/employees")  # what a process does once
    took = []
    for path in (
        "/employees",
        "/employees?sort=-changed&page=40",
        "/employees?q=person+49&state=active",
        "/employees?state=failing",
    ):
        began = time.perf_counter()
        with counted(company.services.db) as statements:
            admin.get(path)
        took.append(time.perf_counter() - began)
        asked = [each for each in statements if each.startswith("SELECT")]
        assert len(asked) <= 7, asked
    assert min(took) < 0.2, took


def test_people_are_found_and_sorted(company: Company, admin: Admin) -> None:
    fill(company, 60)
    page = admin.get("/employees")
    assert f"p00005@{DOMAIN}" not in page, "who is disconnected is shown when asked for"
    assert f"p00005@{DOMAIN}" in admin.get("/employees?state=disconnected")
    found = admin.get("/employees?q=PERSON+7")
    assert "Person 7 " in found
    assert "Person 14" not in found
    newest = admin.get("/employees?sort=-changed")
    assert newest.index(f"p00001@{DOMAIN}") < newest.index(f"p00002@{DOMAIN}")
    assert "1 min ago" in newest
    assert "Nobody fits" in admin.get("/employees?q=%25")


def test_strangers_and_forms_of_other_sites_do_nothing(company: Company, admin: Admin) -> None:
    company.connect()
    assert "too old" in admin.post("/employees/act", one=f"pause {ANN}", form_proof="x")
    assert company.account().state == "active"
    stranger = create_app(company.services).test_client()
    for path in ("/employees", "/employees/act", "/employees/invite"):
        answer = stranger.get(path) if path == "/employees" else stranger.post(path)
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/"


def test_one_is_paused_and_resumed(company: Company, admin: Admin) -> None:
    company.connect()
    assert f"{ANN}: paused" in admin.post("/employees/act", one=f"pause {ANN}")
    assert company.account().state == "paused"
    assert f"{ANN}: resumed" in admin.post("/employees/act", one=f"resume {ANN}")
    assert company.account().state == "active"
    assert "cannot be paused" not in admin.post("/employees/act", one=f"pause {ANN}")


def test_several_are_asked_for_first_and_each_is_told(company: Company, admin: Admin) -> None:
    company.connect()
    company.add(BOB)
    asked = {"act": "pause", "email": [ANN, BOB, CREW[0]]}
    page = admin.post("/employees/act", **asked)
    assert "Pause: 3 employees?" in page
    assert company.account().state == "active"
    page = admin.post("/employees/act", **asked, confirmed="yes")
    assert "2 of 3 done" in page
    assert f"there is no account {CREW[0]}" in page
    assert {company.account(email).state for email in (ANN, BOB)} == {AccountState.PAUSED}
    assert acts(company, "account.pause") == [
        (ANN, "done"),
        (BOB, "done"),
        (CREW[0], "failed"),
        ("3 accounts", "done"),
    ]
    everyone = {"act": "resume", "everyone": "yes", "state": "paused"}
    assert "Resume: 2 employees?" in admin.post("/employees/act", **everyone)
    assert "2 of 2 done" in admin.post("/employees/act", **everyone, confirmed="yes")
    assert "Nobody was chosen" in admin.post("/employees/act", act="pause")
    after = {"act": "pause", "everyone": "yes", "after": ANN, "confirmed": "yes"}
    assert f"{BOB}: paused" in admin.post("/employees/act", **after), "who comes after Ann"


def test_a_disconnection_tells_its_consequences_and_is_done_behind(
    company: Company, admin: Admin
) -> None:
    company.connect()
    company.google.insert_event(ANN, company.timed())
    assert company.sync() == "done"
    page = admin.post("/employees/act", one=f"disconnect {ANN}")
    assert "permission is revoked at Google" in page
    assert "stay, with the status Cancelled" in page
    done = {"act": "disconnect", "email": ANN, "confirmed": "yes"}
    assert "Nothing was chosen" in admin.post("/employees/act", **done)
    assert "is being disconnected" in admin.post("/employees/act", **done, events="delete")
    desk: office.Office = admin.client.application.extensions[office.OFFICE]
    desk.endings.wait()
    assert company.account().state == "disconnected"
    assert company.rows(live=False) == []
    for what in ("account.disconnect", "account.disconnected"):
        assert (ANN, "done") in acts(company, what)


def test_pasted_addresses_and_a_csv_are_invited_by_mail(
    company: Company, admin: Admin, postbox: Postbox
) -> None:
    company.connect()
    people = (io.BytesIO(f"email\n{CREW[1]}\n".encode()), "people.csv")
    page = admin.post(
        "/employees/invite", addresses=f"Crew <{CREW[0]}>, {ANN}, x@y", people=people, by="mail"
    )
    assert "3 of 4 done" in page
    assert f"{CREW[0]} invited by mail" in page
    assert f"{ANN} left as it is: connected already" in page
    assert "x@y 'x@y' is not an e-mail address" in page
    assert "/connect/" not in page
    assert [mail["To"] for mail in postbox.mails] == CREW[:2]
    assert acts(company, "account.mail") == [(email, "done") for email in CREW[:2]]
    assert "mailed 0 s ago" in admin.get("/employees?state=invited")
    assert "mailed at" in admin.post("/employees/act", one=f"mail {CREW[0]}")
    assert "Nobody was named" in admin.post("/employees/invite", addresses=" ", by="mail")


def test_links_are_shown_once(company: Company, admin: Admin) -> None:
    link = rf"{re.escape(company.public_url)}/connect/\S+"
    page = admin.post("/employees/invite", addresses=" ".join(CREW), by="link")
    assert len(set(re.findall(link, page))) == 3
    assert not re.findall(link, admin.get("/employees"))
    assert len(re.findall(link, admin.post("/employees/act", one=f"link {CREW[0]}"))) == 1


def test_who_is_not_reached_in_time_is_asked_for_again(
    company: Company, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "SECONDS", 0.0)
    company.connect()
    company.add(BOB)
    asked = {"act": "pause", "email": [ANN, BOB], "confirmed": "yes"}
    page = admin.post("/employees/act", **asked)
    assert "0 of 2 done" in page
    assert "Go on with the other 2" in page
    assert company.account().state == "active"
    page = admin.post("/employees/invite", addresses=f"{CREW[0]}, {CREW[1]}", by="link")
    assert "Go on with the other 2" in page
    desk: office.Office = admin.client.application.extensions[office.OFFICE]
    with desk.lock:
        assert "under way" in admin.post("/employees/act", **asked)
    monkeypatch.setattr(office, "SECONDS", 20.0)
    left = {"guests": f"{CREW[0]} \n{CREW[1]} nobody@else.test", "by": "link"}
    page = admin.post("/employees/invite", **left)
    assert "1 of 2 done" in page
    assert "no enabled user nobody@else.test" in page
