"""Cron tries the public address: one that ends after channels were heard is told within minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from tests.company import free_port
from tests.ledgers import mirrored
from watcher.channels import reaching
from watcher.handlers.app import create_app
from watcher.jobs import pulse
from watcher.ledger import overview, presence, reach, tries
from watcher.ledger.document import Status
from watcher.ledger.models import Calendar, Channel
from watcher.ledger.presence import Me
from watcher.ledger.secrets import digest
from watcher.ledger.states import ChannelState
from watcher.notices.tell import observe
from watcher.services import Ledger, Services, build
from watcher.settings import load

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LOST = "address_unreachable"


class Front:
    """What answers at the public address, while anything does."""

    def __init__(self, services: Services, port: int) -> None:
        self.services, self.port = services, port
        self._server: BaseWSGIServer | None = None

    def opens(self, app: Flask) -> None:
        self.closes()
        self._server = make_server("127.0.0.1", self.port, app, threaded=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def closes(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def leads_here(self) -> None:
        self.opens(create_app(self.services))


class Town:
    """An installation with one watched calendar, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now, self._folder = NOW, folder
        self._environ = {
            "WATCHER_DATA_DIR": str(folder / "data"),
            "WATCHER_SECRET_KEYS": "k" * 40,
            "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{free_port()}",
        }
        self.begins()
        self.watches("e@example.com", "c")

    def begins(self, **environ: str) -> None:
        """Everything is started, with settings besides those that it has."""
        self._environ |= environ
        settings = load(self._environ, self._folder).settings
        self.services = build(settings, ledger=Ledger.MADE, clock=lambda: self.now)
        self.front = Front(self.services, int(settings.public_url.rpartition(":")[2]))

    def ends(self) -> None:
        self.front.closes()
        self.services.doorbell.client.close()
        self.services.db.dispose()

    def watches(self, email: str, channel: str) -> None:
        """One more calendar, with a channel that was heard."""
        with self.services.db.session() as session:
            calendar = mirrored(session, email, NOW - timedelta(days=1))
            session.add(
                Channel(
                    id=channel,
                    calendar_id=calendar.id,
                    resource_id="r",
                    token_hash=digest("token"),
                    state=ChannelState.LIVE,
                    requested_at=NOW - 9 * MINUTE,
                    opened_at=NOW - 9 * MINUTE,
                    heard_at=NOW - 9 * MINUTE,
                    expires_at=NOW + timedelta(days=7),
                    error="",
                )
            )

    def tries(self, times: int) -> int:
        """Cron comes by that often, each time when the next try is due; returns how often it
        tried."""
        tried = 0
        for _ in range(times):
            tried += reaching.look_back(self.services)
            with self.services.db.reading() as session:
                url = self.services.settings.public_url
                known = tries.last(session, reach.ADDRESS, url)
            assert known is not None
            self.now = known.next_try
        return tried

    def hears(self) -> None:
        """Google's message comes through, by whichever way."""
        with self.services.db.session() as session:
            session.get_one(Channel, "c").last_message_at = self.now

    def comes_by(self, times: int) -> list[timedelta]:
        """Cron comes by every half a minute; returns after which time the calendar owed a look."""
        began, looked = self.now, []
        for _ in range(times):
            self.now += 30 * SECOND
            reaching.look_back(self.services)
            looked += [self.now - began] * bool(self.owes())
        return looked

    def status(self) -> Status:
        return overview.look(self.services)

    def lost(self) -> list[str]:
        return [p.cause for p in self.status().problems if p.cause == LOST]

    def owes(self) -> str:
        """Why the calendar is to be looked at, if it is; it is taken as done then."""
        with self.services.db.session() as session:
            calendar = session.get_one(Calendar, 1)
            reason = calendar.dirty_reason if calendar.owes else ""
            calendar.synced_seq = calendar.dirty_seq
            return reason


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.ends()


def test_an_address_that_answered_and_does_so_no_more_is_one_problem(town: Town) -> None:
    town.front.leads_here()
    assert town.tries(2) == 2
    began = town.now
    town.front.closes()
    town.tries(2)
    assert not town.lost(), "two tries that fail may be a hiccup"
    town.tries(1)
    (problem,) = [p for p in town.status().problems if p.cause == LOST]
    assert (problem.account, problem.since, problem.calendars) == (None, began, 1)
    assert problem.last_try == began + 60 * SECOND
    assert problem.next_try == began + 90 * SECOND
    assert "nothing answers at http://127.0.0.1:" in (problem.message or "")
    assert "it refuses connections" in (problem.message or "")
    assert "tunnel" in problem.next_step
    told = [trouble for trouble in observe(town.services) if trouble.cause == LOST]
    assert [(each.account, each.step) for each in told] == [(None, problem.next_step)]
    page = create_app(town.services).test_client().get("/metrics").get_data(as_text=True)
    assert f'watcher_problems{{cause="{LOST}",state="{LOST}"}} 1.0' in page


def test_it_closes_by_itself_and_what_was_missed_is_looked_for(town: Town) -> None:
    """Every few minutes while it lasts, since no push comes, and once more at its end."""
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    town.tries(2)
    assert town.owes() == ""
    town.tries(1)
    assert town.owes() == "unreached"
    town.tries(9)
    assert town.owes() == "", "not at each try"
    town.tries(1)
    assert town.owes() == "unreached", "after five minutes"
    town.front.leads_here()
    town.tries(1)
    assert (town.lost(), town.owes()) == ([], ""), "no sooner than the next time while it was lost"
    assert town.comes_by(10) == [2 * MINUTE + 30 * SECOND]


def test_one_that_comes_and_goes_costs_no_more_than_one_that_is_away(town: Town) -> None:
    """Ten calendars on two thousand calls a day are what five thousand are on a million: they are
    looked at every twelve minutes, whether the address returns meanwhile or not."""
    town.ends()
    town.begins(WATCHER_GOOGLE_CALLS_PER_DAY="2000")
    for n in range(9):
        town.watches(f"{n}@example.com", f"c{n}")
    began, returns, looks = town.now, 0, 0
    while town.now < began + 60 * MINUTE:
        town.front.leads_here()
        looks += len(town.comes_by(3))
        returns += 1
        town.front.closes()
        looks += len(town.comes_by(7))
        assert town.lost()
    assert (returns, looks) == (12, 5)


def test_while_google_is_heard_all_the_time_nothing_is_looked_at(town: Town) -> None:
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    for _ in range(20):
        town.hears()
        assert town.comes_by(1) == []
    town.hears()
    town.front.leads_here()
    assert town.comes_by(20) == []


def test_what_is_polled_all_the_time_is_not_looked_at(town: Town) -> None:
    """A calendar whose channel was never heard, or which has none, has no push to lose."""
    with town.services.db.session() as session:
        session.get_one(Channel, "c").heard_at = None
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    assert town.comes_by(20) == []


def test_one_that_never_answered_from_here_is_no_alarm(town: Town) -> None:
    """In many networks the public address is out of reach from within."""
    assert town.tries(10) == 10
    assert (town.lost(), town.owes()) == ([], "")


def test_while_google_is_heard_it_is_this_machine_that_does_not_get_through(town: Town) -> None:
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    town.tries(3)
    assert town.lost()
    with town.services.db.session() as session:
        session.get_one(Channel, "c").last_message_at = town.now - 5 * SECOND
    assert not town.lost()
    town.tries(21)
    assert town.lost(), "ten minutes later nothing has come any more"


def test_who_answers_in_our_place_is_told(town: Town) -> None:
    town.front.leads_here()
    town.tries(1)
    town.front.opens(Flask("another program"))
    town.tries(3)
    (problem,) = [p for p in town.status().problems if p.cause == LOST]
    assert "something else answers" in (problem.message or "")
    assert "(404)" in (problem.message or "")
    assert "POST /webhooks/google" in problem.next_step


def test_it_is_not_told_beside_what_it_follows_from(town: Town) -> None:
    me = pulse.myself("cron")
    with town.services.db.session() as session:
        presence.begin(session, me, NOW - 10 * MINUTE)
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    town.tries(3)
    with town.services.db.session() as session:
        presence.tick(session, me, town.now)
        web = Me(name="web", kind="web", host=me.host)
        presence.begin(session, web, town.now - 9 * MINUTE)
        presence.end(session, web, town.now - MINUTE)
    causes = {p.cause for p in town.status().problems}
    assert "web_not_running" in causes
    assert LOST not in causes


def test_another_address_and_another_machine_are_known_anew(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    town.tries(5)
    assert not town.lost(), "it has never answered from there"


def test_what_nobody_tries_any_more_is_not_told(town: Town) -> None:
    town.front.leads_here()
    town.tries(1)
    town.front.closes()
    town.tries(3)
    town.now += 11 * MINUTE
    assert not town.lost()


def test_it_is_tried_every_two_minutes_and_sooner_while_it_fails(town: Town) -> None:
    town.front.leads_here()
    assert reaching.look_back(town.services) == 1
    town.now += 60 * SECOND
    assert reaching.look_back(town.services) == 0
    town.now += 60 * SECOND
    town.front.closes()
    assert reaching.look_back(town.services) == 1
    town.now += 30 * SECOND
    assert reaching.look_back(town.services) == 1
    town.now -= timedelta(days=1)  # the clock was ahead
    assert reaching.look_back(town.services) == 1
