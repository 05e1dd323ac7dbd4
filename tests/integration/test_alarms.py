"""What `watcher status` says is wrong, and since when, against what the ledger knows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.company import ANN, BOB, Company
from watcher.channels import renewal
from watcher.ledger import channels, inbox, overview, owing, renewals, runs
from watcher.ledger import erpnext as known_site
from watcher.ledger.models import Calendar, Channel, Run
from watcher.ledger.secrets import digest
from watcher.ledger.states import AccountState
from watcher.notices.tell import tell
from watcher.sync import work
from watcher_sandbox.erpnext.site import Site

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def problems(company: Company) -> list[dict[str, Any]]:
    """As `watcher status` finds them, while cron runs."""
    services = company.services
    now = services.clock()
    with services.db.session() as session:
        for name in ("sweep", "renew"):
            runs.tick(session, name, now)
    with services.db.session() as session:
        found = overview.status(services.db, session, now, {"live": 0, "backfill": 0}).as_json()[
            "problems"
        ]
    return list(found)


def states(company: Company) -> dict[str, int]:
    services = company.services
    with services.db.session() as session:
        found = overview.status(services.db, session, services.clock(), {"live": 0}).as_json()
    return {word: count for word, count in found["calendars"].items() if count}


def near(since: str, moment: datetime) -> bool:
    """Tests take their time, too."""
    return abs(datetime.fromisoformat(since) - moment) < 10 * SECOND


def end_of_channel(company: Company) -> datetime:
    with company.services.db.session() as session:
        channel = channels.live(session, company.calendar().id, company.services.clock())
        assert channel is not None
        assert channel.expires_at is not None
        return channel.expires_at


# --- no channel ---------------------------------------------------------------------------


def test_a_channel_is_missed_since_it_ended(company: Company) -> None:
    company.connect()
    end = end_of_channel(company)
    company.later(seconds=(end - company.services.clock()).total_seconds() + 1)
    assert problems(company) == [], "a second after its end it may still be replaced"
    company.later(minutes=20)
    (found,) = problems(company)
    assert (found["state"], found["cause"]) == ("no_channel", "no_channel")
    assert near(found["since"], end)


def test_the_time_before_a_return_is_not_missed(company: Company) -> None:
    """While the account was paused nobody wanted a channel."""
    company.connect()
    assert company.watcher("accounts", "pause", ANN).returncode == 0
    company.later(days=9)
    with company.services.db.session() as session:
        renewals.expire(session, company.services.clock())
    company.google.add_fault(match="events/watch", status=403, reason="forbidden")
    back = company.services.clock()
    with company.services.db.session() as session:
        account = session.merge(company.account())
        account.state, account.cause, account.since = AccountState.ACTIVE, "", back
    company.later(minutes=20)
    assert renewal.renew_due(company.services)[0].outcome == "failed"
    (found,) = problems(company)
    assert found["state"] == "no_channel"
    assert near(found["since"], back)
    assert found["message"], "why Google refused"


def test_without_a_channel_from_the_start(company: Company) -> None:
    company.google.add_fault(match="events/watch", status=403, reason="forbidden")
    company.connect()
    with company.services.db.session() as session:
        (asked,) = session.query(Channel.requested_at).one()
    company.later(minutes=20)
    assert company.sync() == "done"
    (found,) = problems(company)
    assert found["state"] == "no_channel"
    assert near(found["since"], asked)


# --- delayed ------------------------------------------------------------------------------


def restart(company: Company) -> None:
    owing.owe_all(company.services.db, "restart", company.services.clock())


def test_the_look_around_after_a_start_is_no_alarm(company: Company) -> None:
    """Many calendars are looked at one after the other: as long as one follows the other, none of
    them is late."""
    company.connect()
    company.add(BOB)
    assert company.sync(BOB) == "done"
    restart(company)
    for _ in range(10):
        company.later(seconds=100)
        with company.services.db.session() as session:
            owing.owe_looks(session, [company.calendar(BOB).id], "restart", now(company))
        assert company.sync(BOB) == "done"
        assert problems(company) == []
        assert states(company) == {"up_to_date": 1, "syncing": 1}
        assert tell(company.services) == 0


def test_a_calendar_that_nobody_comes_to_is_told_with_since_when(company: Company) -> None:
    company.connect()
    company.later(minutes=5)
    restart(company)
    owed = now(company)
    company.later(seconds=100)
    (found,) = problems(company)
    assert (found["state"], found["cause"]) == ("delayed", "waiting_for_worker")
    assert near(found["since"], owed)
    assert "watcher worker" in found["next_step"]


def test_a_push_does_not_wait_for_the_look_around(company: Company) -> None:
    """The wait of a notified change counts from its notification, and is short."""
    company.connect()
    restart(company)
    company.later(minutes=20)
    note_run(company)
    told = now(company)
    push(company)
    company.later(seconds=60)
    note_run(company)
    assert problems(company) == []
    company.later(seconds=60)
    note_run(company)
    (found,) = problems(company)
    assert found["state"] == "delayed"
    assert near(found["since"], told)


def test_a_calendar_whose_worker_was_killed_is_missed(company: Company) -> None:
    """Its pass had begun, so that nothing but the lease tells since when nobody is at it."""
    company.connect()
    with company.services.db.session() as session:
        row = session.get_one(Calendar, company.calendar().id)
        row.dirty_seq, row.dirty_reason = row.dirty_seq + 1, "push"
        row.dirty_at = row.rung_at = None
        row.lease_owner = "killed"
        row.lease_until = company.services.db.now_epoch(session) - 200
    (found,) = problems(company)
    assert (found["state"], found["cause"]) == ("delayed", "waiting_for_worker")


def now(company: Company) -> datetime:
    return company.services.clock()


def note_run(company: Company) -> None:
    """Another calendar's pass of the look-around."""
    with company.services.db.session() as session:
        number = company.calendar().id
        moment = now(company)
        run = Run(calendar_id=number, kind="delta", reason="restart", started_at=moment)
        runs.add(session, [run])


def push(company: Company) -> None:
    """What a notification of the live channel leaves in the ledger."""
    with company.services.db.session() as session:
        channel = channels.live(session, company.calendar().id, now(company))
        assert channel is not None
        channel.token_hash = digest("token")
    message = inbox.Message(
        channel_id=channel.id,
        token="token",
        resource_id=channel.resource_id or "",
        number=2,
    )
    assert inbox.record(company.services.db, message, now(company)).word == "recorded"


# --- whose fault --------------------------------------------------------------------------


def test_a_defect_is_told_as_watchers_own(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.connect()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(work, "make_pass", broken)
    for state in ("delayed", "delayed", "delayed", "delayed", "failing"):
        assert company.sync(snapshot=True) == "failed"
        (found,) = problems(company)
        assert (found["state"], found["cause"]) == (state, "internal_error")
        assert "report it" in found["next_step"]


def test_a_setting_that_is_missing_is_the_installations(company: Company) -> None:
    company.connect()
    company.set("erpnext_api_secret", "")
    company.rebuild()
    assert company.sync(snapshot=True) == "failed"
    (found,) = problems(company)
    assert (found["state"], found["cause"]) == ("failing", "settings")
    assert "WATCHER_ERPNEXT_API_SECRET" in found["message"]


def test_periodic_work_that_fails_each_time_is_told(company: Company) -> None:
    company.connect()
    began = now(company)
    with company.services.db.session() as session:
        runs.tick(session, "renew", began)
    company.later(minutes=40)
    with company.services.db.session() as session:
        runs.tick(session, "sweep", now(company))
        runs.tick(session, "renew", now(company), "ZeroDivisionError")
    services = company.services
    with services.db.session() as session:
        (found,) = overview.status(services.db, session, now(company), {}).as_json()["problems"]
    assert (found["state"], found["cause"]) == ("renew_fails", "cron_fails")
    assert near(found["since"], began)
    assert found["message"] == "ZeroDivisionError"


# --- ERPNext ------------------------------------------------------------------------------


def field(site: Site) -> dict[str, Any]:
    (row,) = site.find("Custom Field", fieldname="custom_google_sync_key")
    return row


def read_again(company: Company) -> None:
    """As ten minutes later."""
    company.services._kept.site = None
    assert company.sync() == "done"


def test_a_key_that_is_no_longer_unique_is_told_until_it_is(company: Company) -> None:
    company.connect()
    assert problems(company) == []
    company.site.put("Custom Field", field(company.site) | {"unique": 0})
    read_again(company)
    noticed = now(company)
    company.later(minutes=10)
    read_again(company)
    (found,) = problems(company)
    assert (found["state"], found["cause"]) == ("key_not_unique", "key_not_unique")
    assert found["next_step"] == "watcher erpnext setup"
    assert near(found["since"], noticed)
    assert "custom_google_sync_key" in found["message"]
    assert "key_not_unique" in company.watcher("status").stdout
    done = company.watcher("erpnext", "setup")
    assert done.returncode == 0, done.stderr
    assert field(company.site)["unique"] == 1
    read_again(company)
    assert problems(company) == []


def test_late_answers_are_told_since_the_first(company: Company) -> None:
    company.connect()
    first = now(company)
    for _ in range(3):
        with company.services.db.session() as session:
            known_site.remember_late_answers(session, 1, now(company))
        company.later(minutes=5)
    (found,) = problems(company)
    assert found["state"] == "erpnext_answers_late"
    assert near(found["since"], first)
    company.later(minutes=6)
    assert problems(company) == []
    with company.services.db.session() as session:
        known_site.remember_late_answers(session, 1, now(company))
    (found,) = problems(company)
    assert near(found["since"], now(company)), "another time"
