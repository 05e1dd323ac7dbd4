"""While a side is away the log says so once, and once when it is back; nothing is silent, since the
tries are counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.company import ANN, BOB, Company
from watcher.errors import AccessLost, BudgetSpent, Transient, WatcherError
from watcher.handlers.missed import Missed
from watcher.jobs import timetable
from watcher.jobs.pulse import Pulse, myself
from watcher.ledger import away
from watcher.ledger.db import Database
from watcher.processes.cron import run_one
from watcher.telemetry.spells import Spell

pytestmark = pytest.mark.one_shape("sqlite")
NOW = datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)

Said = Callable[[int], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """The messages of a level."""
    caplog.set_level(logging.DEBUG)
    return lambda level: [r.getMessage() for r in caplog.records if r.levelno == level]


def test_erpnext_is_away_and_back(company: Company, said: Said) -> None:
    company.connect_at_rest()
    company.connect(BOB)
    company.site.add_fault(match="", status=503, count=None)
    for email in (ANN, BOB):
        company.google.insert_event(email, company.timed())
    for _ in range(4):
        company.later(minutes=2)
        assert {company.sync(ANN), company.sync(BOB)} == {"failed"}
    (warned,) = (line for line in said(logging.WARNING) if "fail" in line or "available" in line)
    assert warned.startswith("ERPNext is not available: ")
    # The first tries are seen, since one is no outage; the others with -v or DEBUG.
    assert len([line for line in said(logging.INFO) if "sync failed" in line]) == 2
    assert len([line for line in said(logging.DEBUG) if "sync failed" in line]) == 6
    company.site.clear_faults()
    company.later(minutes=2)
    assert company.sync(ANN) == "done"
    assert company.sync(BOB) == "done"
    back = [line for line in said(logging.WARNING) if "again" in line]
    assert len(back) == 1
    assert back[0].endswith(": 8 tries failed")


def test_a_run_without_a_look_at_erpnext_says_nothing_of_it(company: Company, said: Said) -> None:
    company.connect_at_rest()
    away_already(company.services.db, "erpnext", tries=5)
    assert company.sync() == "done"  # Google has told of nothing
    assert not [line for line in said(logging.WARNING) if "again" in line]
    company.google.insert_event(ANN, company.timed())
    assert company.sync() == "done"
    assert [line for line in said(logging.WARNING) if "ERPNext is available again" in line]


def away_already(db: Database, side: str, tries: int, since: datetime = NOW) -> list[int]:
    """So many tries fail; returns the levels at which each is logged."""
    found = []
    for _ in range(tries):
        with db.session() as session:
            found.append(away.level_of(session, Transient("no", side=side), since))
    return found


def test_one_hiccup_is_no_outage(db: Database, said: Said) -> None:
    assert away_already(db, "google", away.SURE_AFTER - 1) == [logging.INFO] * 2
    with db.session() as session:
        away.answered(session, ["google"], NOW)
    assert away_already(db, "google", away.SURE_AFTER - 1) == [logging.INFO] * 2
    assert said(logging.WARNING) == []


@pytest.mark.both_shapes
def test_tries_are_told_now_and_then(db: Database, said: Said) -> None:
    assert away_already(db, "google", 110)[away.SURE_AFTER :] == [logging.DEBUG] * 107
    told = [line for line in said(logging.INFO) if "tries failed" in line]
    assert [line.rpartition(": ")[2] for line in told] == ["10 tries failed", "100 tries failed"]
    with db.session() as session:
        away.answered(session, ["google", "erpnext"], NOW + timedelta(seconds=90))
        away.answered(session, ["google", "erpnext"], NOW + timedelta(seconds=91))
    back = [line for line in said(logging.WARNING) if "again" in line]
    assert back == ["Google is available again after 90 s: 110 tries failed"]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (AccessLost("no", cause="no"), logging.WARNING),
        (Transient("no", side="queue"), logging.WARNING),
        (BudgetSpent("enough", side="google"), logging.INFO),
    ],
)
def test_what_is_no_outage(db: Database, error: WatcherError, level: int) -> None:
    for _ in range(5):
        with db.session() as session:
            assert away.level_of(session, error, NOW) == level


def test_periodic_work_says_no_more(company: Company, said: Said) -> None:
    def fail(_services: object) -> None:
        raise Transient("no answer", side="erpnext")

    work = timetable.Periodic("users", 1.0, fail)
    for _ in range(5):
        run_one(company.services, work)
    assert said(logging.WARNING) == ["ERPNext is not available: no answer; tries are counted now"]
    assert said(logging.DEBUG).count("users failed: no answer") == 3


def test_a_spell_is_told_at_both_ends(said: Said) -> None:
    spell, log = Spell(), logging.getLogger("watcher.test")
    spell.over(log, "it works")
    assert [spell.failed() for _ in range(3)] == [logging.WARNING, logging.DEBUG, logging.DEBUG]
    spell.over(log, "it works")
    spell.over(log, "it works")
    assert said(logging.WARNING) == ["it works again, after 3 tries that failed"]
    assert spell.failed() == logging.WARNING


def test_a_process_says_once_that_the_ledger_takes_no_tick(company: Company, said: Said) -> None:
    pulse, db = Pulse(company.services, myself("web")), company.services.db
    with unavailable(db):
        for _ in range(3):
            pulse.beat()
    pulse.beat()
    assert len([line for line in said(logging.WARNING) if "no tick was left" in line]) == 1
    assert "ticks are left again, after 3 tries that failed" in said(logging.WARNING)


@contextmanager
def unavailable(db: Database) -> Iterator[None]:
    """The ledger's file is gone for a while."""
    path = Path(db.engine.url.database or "")
    away = path.rename(path.with_suffix(".away"))
    yield
    away.rename(path)


def test_notifications_that_the_ledger_does_not_take(company: Company, said: Said) -> None:
    company.connect_at_rest()
    missed = Missed(company.services)
    assert [missed.note() for _ in range(3)] == [True, False, False]
    missed.ledger_writes()
    thread = missed._thread
    if thread is not None:
        thread.join(10)
    assert "the ledger takes notes again: 3 notifications were refused" in said(logging.WARNING)
    assert missed.note()
