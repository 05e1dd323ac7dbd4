"""Channels over their whole life: asked for, renewed, stopped, lost, forgotten by Google."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text, update

from tests.company import ADMIN, ANN, BOB, DOMAIN, Company
from tests.waiting import wait_for
from watcher.accounts import tokens
from watcher.channels import renewal
from watcher.channels.registry import open_channel
from watcher.errors import Transient
from watcher.jobs import timetable
from watcher.ledger import accounts, calendars, channels, leases, opening, owing, renewals
from watcher.ledger.models import Channel, Lease
from watcher.ledger.opening import Granted, Request
from watcher.ledger.states import AccountState

pytestmark = pytest.mark.one_shape("sqlite")


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()


def rows(company: Company, email: str = ANN) -> list[Channel]:
    """The calendar's rows in the ledger, oldest first."""
    number = company.calendar(email).id
    with company.services.db.session() as session:
        return (
            session.query(Channel)
            .filter_by(calendar_id=number)
            .order_by(Channel.requested_at)
            .all()
        )


def states(company: Company, email: str = ANN) -> list[str]:
    return [row.state for row in rows(company, email)]


def renew(company: Company) -> list[str]:
    return [each.outcome for each in renewal.renew_due(company.services)]


def asked(company: Company, route: str) -> int:
    return company.google.log.counts().get(route, 0)


def start_web(company: Company) -> None:
    """The bridge's own receiver, under the address that the channels name."""
    company.start("web", "--host", "127.0.0.1", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web process")


def test_a_calendar_is_watched_before_it_is_first_read(company: Company) -> None:
    company.add(BOB)
    company.google.log.clear()  # of the proof of the calendar
    assert company.sync(BOB) == "done"
    order = [r.route for r in company.google.log.entries() if BOB in r.path]
    assert order[0] == "events.watch"
    assert "events.list" in order
    (channel,) = company.google.live_channels(BOB)
    assert channel.address == f"{company.public_url}/webhooks/google"
    assert not channel.mute, "with eventTypes Google would deliver nothing"


def test_the_life_is_what_google_gave_and_renewal_comes_in_its_last_part(company: Company) -> None:
    company.google.max_ttl = 10 * 3_600  # less than what is asked for
    company.add(BOB)
    assert company.sync(BOB) == "done"
    (row,) = rows(company, BOB)
    (channel,) = company.google.live_channels(BOB)
    assert row.expires_at is not None
    assert row.renew_at is not None
    assert row.opened_at is not None
    assert abs(row.expires_at - channel.expiration) < timedelta(seconds=1)
    share = (row.renew_at - row.opened_at) / (row.expires_at - row.opened_at)
    assert 0.6 <= share <= 0.9


def test_the_token_is_nowhere_in_clear(company: Company) -> None:
    (channel,) = company.google.live_channels(ANN)
    assert channel.token is not None
    assert len(channel.token) >= 32
    with company.services.db.engine.connect() as connection:
        for table in ("channels", "calendars", "facts"):
            held = repr(list(connection.execute(text(f"SELECT * FROM {table}"))))  # noqa: S608
            assert channel.token not in held
    keys = company.services.doorbell.client.keys("*")
    assert channel.token.encode() not in b"".join(
        company.services.doorbell.client.dump(key) or b"" for key in keys
    )


def test_nothing_is_due_in_the_first_half_of_the_life(company: Company) -> None:
    company.later(days=3)
    before = asked(company, "events.watch")
    assert renew(company) == []
    assert asked(company, "events.watch") == before


def test_a_renewal_overlaps_and_ends_with_one_channel(company: Company) -> None:
    """Every renewal leaves one channel at Google, not two, however often it happens."""
    seen = {company.google.live_channels(ANN)[0].id}
    for _ in range(3):
        company.later(days=6, hours=12)
        assert renew(company) == ["renewed"]
        assert states(company)[-2:] == ["retiring", "live"]
        assert len(company.google.live_channels(ANN)) == 2, "the old one is not stopped yet"
        assert company.sync() == "done"
        assert renew(company) == []
        (channel,) = company.google.live_channels(ANN)
        assert channel.id not in seen, "ids are never used again"
        seen.add(channel.id)
    assert states(company) == ["stopped"] * 3 + ["live"]


def test_an_old_channel_outlives_a_calendar_that_does_not_sync(company: Company) -> None:
    """Until a sync has gone through, a change may have been told to the old channel alone."""
    company.later(days=6, hours=12)
    assert renew(company) == ["renewed"]
    assert renew(company) == []
    assert states(company) == ["retiring", "live"]
    company.later(minutes=11)  # but not for ever
    assert renew(company) == []
    assert states(company) == ["stopped", "live"]


def test_a_stop_that_google_does_not_know_is_done(company: Company) -> None:
    company.later(days=6, hours=12)
    assert renew(company) == ["renewed"]
    company.google.add_fault(match="channels/stop", status=404, reason="notFound", count=1)
    assert company.sync() == "done"
    renew(company)
    assert states(company) == ["stopped", "live"]


def test_a_stop_that_fails_is_tried_again(company: Company) -> None:
    company.later(days=6, hours=12)
    assert renew(company) == ["renewed"]
    assert company.sync() == "done"
    company.google.add_fault(match="channels/stop", status=503, reason="backendError")
    renew(company)
    assert states(company) == ["retiring", "live"]
    company.google.clear_faults()
    renew(company)
    assert states(company) == ["stopped", "live"]


def test_a_stop_that_is_refused_for_good_is_not_repeated(company: Company) -> None:
    company.later(days=6, hours=12)
    company.google.add_fault(match="channels/stop", status=400, reason="invalid")
    assert renew(company) == ["renewed"]
    assert company.sync() == "done"
    for _ in range(3):
        renew(company)
    assert asked(company, "channels.stop") == 1
    assert states(company) == ["stopped", "live"]
    assert "400" in rows(company)[0].error


@pytest.mark.parametrize("known", [True, False])
def test_an_old_channel_of_a_dead_account_is_left_alone(company: Company, known: bool) -> None:
    """Google is not asked about a dead grant again and again only to stop a channel; when the
    account is back, it is stopped."""
    company.consented(BOB)
    assert company.sync(BOB) == "done"
    company.later(days=6, hours=12)
    assert renew(company) == ["renewed", "renewed"]
    company.google.revoke_user(BOB)
    company.google.expire_access_tokens(BOB)
    company.later(hours=2)
    number = company.account(BOB).id
    assert not known or tokens.refresh_one(company.services, number)
    renew(company)
    assert company.account(BOB).state == "needs_reconnect"
    before = asked(company, "token")
    for _ in range(3):
        renew(company)
    assert asked(company, "token") == before
    assert states(company, BOB) == ["retiring", "live"]
    company.consented(BOB)
    assert company.sync(BOB) == "done"
    renew(company)
    assert states(company, BOB) == ["stopped", "live"]


@pytest.mark.both_shapes
def test_all_channels_expired_come_back_within_the_cap(company: Company) -> None:
    for email in (BOB, ADMIN):
        company.add(email)
        assert company.sync(email) == "done"
    company.rebuild()
    company.set("renew_per_minute", "2")
    company.later(days=8)
    assert company.google.live_channels() == []
    assert renew(company) == ["opened", "opened", "later"]
    company.later(minutes=1, seconds=1)
    assert renew(company) == ["opened"]
    assert len(company.google.live_channels()) == 3
    assert states(company) == ["expired", "live"]


def test_all_renewed_by_force_are_renewed_however_many_there_are(company: Company) -> None:
    """After a move to another address: what is beyond the cap stays due, and saying it again does
    not begin at the beginning."""
    for email in (BOB, ADMIN):
        company.add(email)
        assert company.sync(email) == "done"
    company.rebuild()
    company.set("renew_per_minute", "1")
    company.later(hours=1)
    before = {channel.id for channel in company.google.live_channels()}
    seen = set[str]()
    for force in (True, True, False):
        found = renewal.renew_due(company.services, renewal.Wanted(force=force))
        seen |= {each.account for each in found if each.outcome == "renewed"}
        company.later(minutes=1, seconds=1)
    assert seen == {ANN, BOB, ADMIN}
    for _ in range(4):
        company.later(minutes=11)
        renew(company)
    after = {channel.id for channel in company.google.live_channels()}
    assert len(after) == 3
    assert not after & before


def test_google_is_not_asked_for_all_channels_while_it_opens_none(company: Company) -> None:
    """After three refusals in a row for too many calls the others wait for the next round."""
    for number in range(6):
        company.google.add_user(f"hire{number}@{DOMAIN}")
        company.add(f"hire{number}@{DOMAIN}")
    company.google.add_fault(match="/watch", status=403, reason="rateLimitExceeded")
    company.google.log.clear()
    found = renewal.renew_due(company.services)
    assert [each.outcome for each in found].count("failed") == 3
    assert {each.message for each in found if each.outcome == "later"} == {renewal.AWAY}
    company.google.faults.clear()
    company.later(minutes=1, seconds=1)
    assert renew(company).count("opened") == 6


def test_cron_looks_for_what_is_to_be_watched_by_one_statement(company: Company) -> None:
    """However many calendars wait for the cap of a minute, every fifteen seconds."""
    for number in range(7):
        company.google.add_user(f"hire{number}@{DOMAIN}")
        company.add(f"hire{number}@{DOMAIN}")
    asked: list[str] = []
    engine = company.services.db.engine
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    with company.services.db.reading() as session:
        asked.clear()
        found = renewals.calendars_due(session, company.services.clock())
        assert sum(each.startswith("SELECT") for each in asked) == 1
    assert [due.email for due in found] == [f"hire{number}@{DOMAIN}" for number in range(7)]
    assert {due.channel_id for due in found} == {None}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_hundred_expired_channels_come_back_within_the_cap(company: Company) -> None:
    """After a long outage: as many a minute as the setting says, each calendar once, and
    the poll of all those that still wait is due within the short interval of calendars without a
    channel."""
    company.rebuild()
    company.set("renew_per_minute", "6")
    people = [f"crew{number}@{DOMAIN}" for number in range(100)]
    services = company.services
    with services.db.session() as session:
        now = services.clock()
        for email in people:
            company.google.add_user(email)
            account = accounts.add(
                session, email=email, source="service-account", state=AccountState.ACTIVE, now=now
            )
            calendar = calendars.add(session, account.id, email, now)
            request = Request(
                channel_id=email, calendar_id=calendar.id, token_hash="x", instead_of=None
            )
            opening.add_requesting(session, request, 2_000, now)
            granted = Granted("r", now + timedelta(days=7), now + timedelta(days=6))
            found = opening.asked_for(session, email)
            assert found is not None
            opening.confirm(session, found, granted, now)
    company.later(days=9)
    minutes = []
    while len(company.google.live_channels()) < 101:
        outcomes = renew(company)
        minutes.append(sum(word in ("opened", "renewed") for word in outcomes))
        assert renew(company).count("opened") == 0, "the cap is of the minute, not of the call"
        company.later(minutes=1, seconds=1)
        assert len(minutes) < 20
    assert minutes == [6] * 16 + [5]
    assert len({channel.resource for channel in company.google.live_channels()}) == 101


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403, "reason": "forbidden"},
        {"status": 400, "reason": "push.webhookUrlUnauthorized"},
    ],
)
def test_a_refused_watch_is_not_asked_again_at_once(
    company: Company, fault: dict[str, Any]
) -> None:
    """Google says no: the calendar goes on by polls, and the next try waits (a peer made 27,900
    failing calls in 15 days)."""
    company.google.add_fault(match="events/watch", **fault)
    company.add(BOB)
    company.google.insert_event(BOB, company.timed())
    assert company.sync(BOB) == "done"
    assert company.subjects(BOB) == ["Shift"]
    before = asked(company, "events.watch")
    for _ in range(3):
        assert company.sync(BOB) == "done"
        renew(company)
    assert asked(company, "events.watch") == before
    assert set(states(company, BOB)) == {"failed"}
    company.google.clear_faults()
    company.later(hours=2)
    assert renew(company) == ["opened"]


def test_a_long_outage_leaves_no_calendar_without_its_channel_for_long(company: Company) -> None:
    """However long it was, the next try is minutes away; a refusal waits longer and longer."""
    company.google.add_fault(match=f"{BOB}/events/watch", status=503)
    company.google.add_fault(match=f"{ADMIN}/events/watch", status=403, reason="forbidden")
    for email in (BOB, ADMIN):
        company.add(email)
        assert company.sync(email) == "done"
    waits: dict[str, list[float]] = {BOB: [], ADMIN: []}
    for _ in range(12):
        for email, seen in waits.items():
            retry = company.calendar(email).watch_retry_at
            assert retry is not None
            seen.append((retry - company.services.clock()).total_seconds())
        company.later(hours=1, seconds=1)
        assert renew(company) == ["failed", "failed"]
    assert waits[BOB][0] < 31
    assert 150 - 1 < waits[BOB][-1] <= 300
    assert 1_800 - 1 < waits[ADMIN][-1] <= 3_600


def test_one_calendar_in_trouble_stops_no_other(company: Company) -> None:
    company.add(BOB)
    assert company.sync(BOB) == "done"
    company.later(days=6, hours=12)
    company.google.add_fault(match=f"{ANN}/events/watch", status=403, reason="forbidden")
    assert renew(company) == ["failed", "renewed"]


def test_a_second_renewer_waits_its_turn(company: Company) -> None:
    with company.services.db.session() as session:
        assert leases.take(company.services.db, session, renewal.LEASE, "another", 60)
    with pytest.raises(Transient, match="another process"):
        renew(company)
    assert timetable.renew(company.services) == 0


def test_the_admin_s_renewal_waits_for_cron_s(company: Company) -> None:
    """``channels renew`` beside cron is what an admin does after a restore: it has to get there."""
    company.add(BOB)
    with company.services.db.session() as session:
        assert leases.take(
            company.services.db, session, renewal.LEASE, "cron", renewal.LEASE_SECONDS
        )

    said = company.folder / "renew.log"
    said.touch()
    admin = company.start("channels", "renew", "--all", "--force", log=said.name)
    wait_for(lambda: "waiting: another process" in said.read_text(), what="the admin's command")
    assert len(rows(company)) == 1
    with company.services.db.session() as session:
        leases.drop(session, renewal.LEASE, "cron")
    assert admin.wait(60) == 0, said.read_text()
    assert "ann@scoopjoy.test: renewed" in said.read_text()
    assert "bob@scoopjoy.test: opened" in said.read_text()


def test_a_renewal_that_never_ends_is_not_waited_for_for_ever(company: Company) -> None:
    with company.services.db.session() as session:
        assert leases.take(
            company.services.db, session, renewal.LEASE, "cron", renewal.LEASE_SECONDS
        )
    said: list[str] = []
    with pytest.raises(Transient, match="another process"):
        renewal.renew_due(
            company.services,
            patience=renewal.Patience(0.5, lambda: said.append("waits")),
        )
    assert said == ["waits"]


def test_a_renewal_that_was_taken_over_ends(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lease has lapsed meanwhile, say because the machine slept."""
    company.add(BOB)
    assert company.sync(BOB) == "done"
    company.later(days=6, hours=12)

    def takes_over(_: renewal.Renewed) -> None:
        with company.services.db.session() as session:
            session.execute(update(Lease).values(owner="another", until=time.time() + 50))

    found = renewal.renew_due(company.services, report=takes_over)
    assert [each.account for each in found] == [ANN]
    assert states(company) == ["retiring", "live"], "what is left to do is the other's"
    assert states(company, BOB) == ["live"]
    assert "taken the renewal over" in caplog.text


def test_what_a_worker_has_opened_meanwhile_is_not_opened_again(company: Company) -> None:
    company.add(BOB)
    assert company.sync(BOB) == "done"
    company.later(days=6, hours=12)
    services = company.services

    def worker(done: renewal.Renewed) -> None:
        if done.account == ANN:
            number, (old,) = company.calendar(BOB).id, company.google.live_channels(BOB)
            open_channel(services, number, instead_of=old.id)

    found = renewal.renew_due(services, report=worker)
    assert [(e.account, e.outcome) for e in found] == [(ANN, "renewed"), (BOB, "skipped")]
    assert states(company, BOB) == ["retiring", "live"]


def test_a_lost_answer_of_watch_leaves_no_channel_behind(company: Company) -> None:
    """Google has opened the channel, but its answer never came: when the channel speaks, it is
    found out and stopped."""
    start_web(company)
    company.add(BOB)
    company.google.behaviour.sync_before_answer = False
    company.google.set_push_faults(drop=1.0)
    company.google.add_fault(match="events/watch", drop=True, after=True, count=1)
    assert company.sync(BOB) == "done"
    (lost,) = company.google.live_channels(BOB)
    assert states(company, BOB) == ["failed"]
    company.later(hours=2)
    assert renew(company) == ["opened"]
    company.google.set_push_faults()
    assert len(company.google.live_channels(BOB)) == 2
    company.google.insert_event(BOB, company.timed())
    assert company.google.wait_pushes()
    assert company.sync(BOB) == "done"
    company.later(minutes=11)
    renew(company)
    assert lost.id not in {c.id for c in company.google.live_channels(BOB)}
    assert len(company.google.live_channels(BOB)) == 1


def test_late_notices_of_a_stopped_channel_are_answered_and_wake_nobody(company: Company) -> None:
    start_web(company)
    company.google.behaviour.late_notices = 3
    (old,) = company.google.live_channels(ANN)
    company.later(days=6, hours=12)
    assert renew(company) == ["renewed"]
    assert company.sync() == "done"
    renew(company)
    assert company.google.wait_pushes()
    company.google.set_push_faults()
    with company.services.db.session() as session:
        calendars.get(session, company.calendar().id).rung_at = None
    before, counts = company.calendar().dirty_seq, dict(company.google.pusher.counts)
    company.google.channels.notify(old.id)
    assert company.google.wait_pushes()
    assert company.google.pusher.counts["delivered_204"] == counts.get("delivered_204", 0) + 1
    assert company.calendar().dirty_seq == before


def test_what_nobody_answered_for_is_given_up(company: Company) -> None:
    """A process died between its row and Google's answer: the row neither blocks nor stays."""
    now, number = company.services.clock(), company.calendar().id
    with company.services.db.session() as session:
        channels.stopped(session, rows(company)[0].id, now)
        request = Request(
            channel_id="half-open", calendar_id=number, token_hash="x", instead_of=None
        )
        opening.add_requesting(session, request, 60, now)
    assert renew(company) == ["skipped"], "somebody may just be opening it"
    company.later(minutes=3)
    assert renew(company) == ["opened"]
    company.later(minutes=10)
    renew(company)
    assert sorted(states(company)) == ["expired", "live", "stopped"]


def test_a_fresh_change_that_is_never_told_is_asked_about_by_the_next_poll(
    company: Company,
) -> None:
    """A poll overtakes the notification now and then; a channel that stays silent is replaced."""
    (old,) = company.google.live_channels(ANN)
    with company.services.db.session() as session:
        spoke = company.services.clock() - timedelta(minutes=5)
        session.get_one(Channel, old.id).last_message_at = spoke
    company.google.kill_channels(ANN)
    company.google.insert_event(ANN, company.timed())
    poll(company)
    assert states(company) == ["live"]
    with company.services.db.session() as session:
        due = session.get_one(Channel, old.id).renew_at
        assert due is not None
        assert due > company.services.clock(), "a fresh change says nothing yet"
    company.later(minutes=2)
    poll(company)
    with company.services.db.session() as session:
        due = session.get_one(Channel, old.id).renew_at
        assert due is not None
        assert due <= company.services.clock()


def poll(company: Company) -> None:
    with company.services.db.session() as session:
        number = company.calendar().id
        owing.owe_looks(session, [number], "poll", company.services.clock())
    assert company.sync() == "done"
