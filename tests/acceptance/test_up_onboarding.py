"""Employees come to a running Watcher, by delegation and by consent; their pushes arrive; what
expires heals without anybody's help."""

from __future__ import annotations

import contextlib
import json
from functools import partial

import pytest
import requests

from tests.company import ADMIN, ANN, BOB, Company
from tests.consenting import allow
from tests.waiting import wait_for
from watcher.ledger.models import Channel

PEOPLE = (ANN, BOB, ADMIN)
CONSENTS = "carla@scoopjoy.test"


@pytest.fixture
def shop(company: Company) -> Company:
    """A Watcher that is up, with quick polls, and nobody connected."""
    company.environ |= {"WATCHER_SWEEP_SECONDS": "0.5", "WATCHER_POLL_MINUTES": "0.05"}
    company.google.add_user(CONSENTS, time_zone="America/New_York")
    company.site.add_user(CONSENTS)
    company.rebuild()
    company.setup_erpnext()
    company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the web server")
    return company


def connect_by_import(company: Company) -> None:
    people = company.folder / "people.csv"
    people.write_text("email\n" + "\n".join(PEOPLE) + "\n")
    done = company.watcher("accounts", "import", "--from", str(people), "--json")
    assert done.returncode == 0, done.stderr
    assert [one["outcome"] for one in json.loads(done.stdout)] == ["connected"] * 3


def consent(link: str, email: str) -> requests.Response:
    """As a browser does it: the employee's page, Google's form, back again."""
    with requests.Session() as browser:
        assert browser.get(link, timeout=10).status_code == 200
        page = browser.post(link, timeout=10)
        return browser.post(page.url, data=allow(page.text, email), timeout=20)


def pushed(company: Company, email: str) -> bool:
    """Whether a channel of the calendar has told of a change, not only of itself."""
    number = company.calendar(email).id
    with company.services.db.session() as session:
        rows = session.query(Channel).filter_by(calendar_id=number)
        return any((row.last_message_number or 0) > 1 for row in rows)


def told(company: Company, email: str) -> None:
    """A push has told of a change. One that a waiting job serves anyway, such as that of the poll,
    leaves no trace: then another change is made."""
    for number in range(20):
        event = company.google.insert_event(email, company.timed(summary=f"Pushed {number}"))
        with contextlib.suppress(AssertionError):
            wait_for(partial(pushed, company, email), what="the push", seconds=5)
            return
        company.google.delete_event(email, event)
    raise AssertionError(f"no push was recorded for {email}")


def arrives(company: Company, email: str, subject: str) -> None:
    company.google.insert_event(email, company.timed(summary=subject))
    wait_for(partial(shows, company, email, subject), what=f"{subject} of {email}")


def shows(company: Company, email: str, subject: str) -> bool:
    return subject in company.subjects(email)


def is_watched_once(company: Company, email: str) -> bool:
    return len(company.google.live_channels(email)) == 1


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_from_the_first_employee_to_everything_expired(shop: Company) -> None:
    google = shop.google
    old = google.insert_event(ANN, shop.timed(summary="There before"))
    connect_by_import(shop)
    wait_for(lambda: shop.subjects(ANN) == ["There before"], what="the first sync")

    link = shop.watcher("accounts", "invite", CONSENTS).stdout.strip()
    wrong = consent(link, BOB)
    assert wrong.status_code != 200 or "connected" not in wrong.text.lower()
    done = consent(link, CONSENTS)
    assert done.status_code == 200, done.text
    assert requests.post(link, timeout=10).status_code >= 400, "a link works once"
    people = (*PEOPLE, CONSENTS)
    shop.await_health(len(people))
    for email in people:
        wait_for(partial(is_watched_once, shop, email), what="one channel")
        arrives(shop, email, "Pushed")
        told(shop, email)
    # A change that the poll happened to find first is none of the push's.
    wait_for(lambda: shop.status()["freshness_seconds"]["count"] >= 1, what="a measured push")

    google.expire_access_tokens()
    google.expire_sync_tokens()
    google.patch_event(ANN, old, {"summary": "Changed after"})
    wait_for(lambda: "Changed after" in shop.subjects(ANN), what="the change")
    for email in people:
        arrives(shop, email, "After the tokens")

    # Any later change that is found was found by the poll.
    assert google.wait_pushes()
    shop.await_health(len(people), what="rest before the channels go")

    # Google forgets the channels and says nothing: the poll finds what no push told of, and a
    # channel that missed a change is replaced.
    for email in people:
        google.kill_channels(email)
        google.insert_event(email, shop.timed(summary="Not pushed"))
    for email in people:
        wait_for(partial(shows, shop, email, "Not pushed"), what=f"{email}'s poll")
    wait_for(
        lambda: all(is_watched_once(shop, e) for e in people),
        what="new channels",
        seconds=240,
    )
    for email in people:
        arrives(shop, email, "Pushed again")
    assert all(shop.mirrored(email) == shop.expected(email) for email in people)
    shop.await_health(len(people), what="health after all")
    keys = [row["custom_google_sync_key"] for row in shop.site.events()]
    assert len(keys) == len(set(keys))

    # What only a person can mend is said, for the one whom it concerns.
    google.revoke_user(CONSENTS)
    google.expire_access_tokens(CONSENTS)
    wait_for(lambda: shop.status()["accounts"]["needs_reconnect"] == 1, what="the revoked grant")
    found = {p["state"]: p for p in shop.status()["problems"] if p["account"] == CONSENTS}
    problem = found["needs_reconnect"]
    assert problem["next_step"] == f"watcher accounts invite {CONSENTS}"
    arrives(shop, ANN, "Nobody else is slowed")
    google.insert_event(CONSENTS, shop.timed(summary="While away"))
    link = shop.watcher("accounts", "invite", CONSENTS).stdout.strip()
    assert consent(link, CONSENTS).status_code == 200
    wait_for(lambda: "While away" in shop.subjects(CONSENTS), what="what came meanwhile")
    shop.await_health(len(people), what="health after the reconnect")
