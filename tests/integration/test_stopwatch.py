"""The admins' page *Stopwatch*: each step of a change on its way, and what it says where none
comes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.company import ANN, Company
from tests.integration.test_pages import Admin
from watcher.accounts import verbs
from watcher.channels.renewal import renew_due
from watcher.handlers.app import create_app
from watcher.ledger import channels
from watcher.ledger.models import Run
from watcher.ledger.secrets import digest

pytestmark = pytest.mark.one_shape("sqlite")
TOKEN = "token-of-a-channel"


@pytest.fixture
def admin(company: Company) -> Admin:
    company.connect_at_rest()
    renew_due(company.services)
    return Admin(create_app(company.services).test_client())


def begin(company: Company, admin: Admin, ago: float = 0) -> str:
    """The address of a stopwatch that runs."""
    path = f"/calendars/{company.calendar().id}/stopwatch"
    answer = admin.client.get(path)
    assert answer.status_code == 303
    since = int(answer.headers["Location"].partition("since=")[2])
    return f"{path}?since={since - int(1000 * ago)}"


def push(company: Company, admin: Admin) -> None:
    """Google's notification, as the web server takes it."""
    with company.services.db.session() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
        row.token_hash = digest(TOKEN)
        sent = {
            "X-Goog-Channel-ID": row.id,
            "X-Goog-Channel-Token": TOKEN,
            "X-Goog-Resource-ID": row.resource_id or "",
            "X-Goog-Resource-State": "exists",
            "X-Goog-Message-Number": "7",
        }
    assert admin.client.post("/webhooks/google", headers=sent).status_code == 204


def test_each_step_is_told_as_it_comes(company: Company, admin: Admin) -> None:
    running = begin(company, admin)
    page = admin.get(running)
    assert "Now make or change an event" in page
    assert ANN in page
    company.google.insert_event(ANN, company.timed())
    push(company, admin)
    assert "Watcher was told" in admin.get(running)
    assert company.sync() == "done"
    page = admin.get(running)
    found = re.search(r"In ERPNext ([\d.]+) seconds after the change in Google", page)
    assert found is not None
    assert float(found[1]) < 30
    for step in ("Changed in Google", "A worker began", "was read from Google", "1 row written"):
        assert step in page
    assert 'data-seconds="2"' in admin.client.get(running).get_data(as_text=True)
    assert "script-src 'self'" in admin.client.get(running).headers["Content-Security-Policy"]


def test_a_change_whose_time_google_does_not_say_is_timed_from_the_notification(
    company: Company, admin: Admin
) -> None:
    running = begin(company, admin)
    company.google.insert_event(ANN, company.timed())
    push(company, admin)
    assert company.sync() == "done"
    with company.services.db.session() as session:
        run = session.scalars(select(Run).order_by(Run.id.desc())).first()
        assert run is not None
        run.lag_google = None
    assert re.search(r"In ERPNext [\d.]+ seconds after Watcher was told", admin.get(running))


def test_what_was_read_and_not_written_says_why(company: Company, admin: Admin) -> None:
    running = begin(company, admin)
    company.google.insert_event(
        ANN, company.timed(eventType="workingLocation", visibility="public")
    )
    push(company, admin)
    assert company.sync() == "done"
    page = admin.get(running)
    assert "It was read, and nothing was written" in page
    assert "left out by the rules" in page
    company.google.add_fault(match="/events", status=503, count=None)
    push(company, admin)
    assert company.sync() == "failed"
    assert "the pass failed" in admin.get(running)


def test_nothing_that_comes_says_what_to_look_at(company: Company, admin: Admin) -> None:
    running = begin(company, admin, ago=130)
    page = admin.get(running)
    assert "Nothing came within two minutes" in page
    assert "Was it changed in this calendar" in page
    push(company, admin)
    assert "no worker has taken it up" in admin.get(running)
    with company.services.db.session() as session:
        for row in channels.open_of_calendar(session, company.calendar().id):
            row.expires_at = company.services.clock() - timedelta(seconds=1)
    assert "No channel is open" in admin.get(running)
    verbs.pause(company.services, ANN)
    assert "The account is paused" in admin.get(running)


def test_an_odd_beginning_begins_now(company: Company, admin: Admin) -> None:
    path = f"/calendars/{company.calendar().id}/stopwatch"
    for since in ("", "x", "-5", "99999999999999999999", str(2**40), "1700000000"):
        assert admin.client.get(f"{path}?since={since}").status_code == 303
    unknown = begin(company, admin).replace("/calendars/", "/calendars/99")
    assert admin.client.get(unknown).status_code == 404
