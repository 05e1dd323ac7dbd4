"""Channels that Google lets live for minutes only: they are opened anew after growing pauses, polls
cover meanwhile, and the status says so. A short life that the settings ask for is no trouble."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.company import ANN, Company
from tests.integration.test_channels_renewal import asked, renew, rows
from watcher.channels.due import is_short_lived
from watcher.jobs import timetable
from watcher.ledger import overview, renewals

MINUTE = timedelta(minutes=1)


def problems(company: Company) -> list[dict[str, Any]]:
    services = company.services
    with services.db.session() as session:
        document = overview.status(services.db, session, services.clock(), {"live": 0}).as_json()
    return [one for one in document["problems"] if one["calendar"] == ANN]


def an_hour(company: Company) -> int:
    """Cron and workers for an hour, in steps of half a minute; how often Google was asked."""
    before = asked(company, "events.watch")
    for _ in range(120):
        company.later(seconds=30)
        renew(company)
        timetable.poll(company.services)
        if company.calendar().dirty_seq > company.calendar().synced_seq:
            assert company.sync() == "done"
    return asked(company, "events.watch") - before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("life", [0.5, 240])
def test_renewal_rests_and_polls_cover(company: Company, life: float) -> None:
    company.google.max_ttl = life
    company.connect()
    first = an_hour(company)
    assert 3 <= first <= 6, "the pauses grow: 5, 10, 20, 40 minutes"
    assert an_hour(company) <= 2, "up to an hour"
    found = company.calendar()
    assert found.next_poll_at is not None
    assert found.next_poll_at - company.services.clock() <= 6 * MINUTE
    company.google.insert_event(ANN, company.timed(summary="Meanwhile"))
    for _ in range(13):
        company.later(seconds=30)
        timetable.poll(company.services)
        if company.calendar().dirty_seq > company.calendar().synced_seq:
            assert company.sync() == "done"
    assert company.subjects() == ["Meanwhile"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_is_told_until_it_is_mended(company: Company) -> None:
    company.google.max_ttl = 60
    company.connect()
    began = company.services.clock()
    for wait in (0, 30, 45):  # also when nothing is alive any more
        company.later(minutes=wait)
        with company.services.db.session() as session:
            renewals.expire(session, company.services.clock())
        (problem,) = problems(company)
        assert (problem["state"], problem["cause"]) == ("short_channel", "short_lived_channel")
        assert "clock" in problem["next_step"]
        assert "60 s" in problem["message"]
        assert problem["since"] <= f"{began:%Y-%m-%dT%H:%M:%SZ}"
        renew(company)
        assert company.sync() == "done"
    said = company.watcher("status").stdout
    assert "short_lived_channel" in said
    company.google.max_ttl = 604_800.0
    company.later(hours=2)
    assert renew(company) == ["opened"]
    assert problems(company) == []
    assert company.sync() == "done"
    left = company.calendar().next_poll_at
    assert left is not None
    assert left - company.services.clock() > 20 * MINUTE, "pushes tell again"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_admin_may_ask_at_once(company: Company) -> None:
    company.google.max_ttl = 60
    company.connect()
    company.google.max_ttl = 604_800.0
    company.later(minutes=2)
    assert renew(company) == []
    done = company.watcher("channels", "renew", ANN, "--force")
    assert done.returncode == 0, done.stderr
    assert "short_lived_channel" not in [one["cause"] for one in problems(company)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_short_life_that_was_asked_for_is_renewed_in_time(company: Company) -> None:
    company.set("channel_ttl_seconds", "60")
    company.connect()
    assert problems(company) == []
    for _ in range(3):
        company.later(seconds=57)
        assert renew(company) == ["renewed"]
        assert company.sync() == "done"
    assert problems(company) == []
    assert rows(company)[-1].error == ""


@pytest.mark.parametrize(
    ("life", "asked_for", "short"),
    [
        (60, 604_800, True),
        (-30, 604_800, True),
        (899, 604_800, True),
        (900, 604_800, False),
        (60, 60, False),
        (57, 60, False),
        (20, 60, True),
        (300, 600, True),
        (86_400, 604_800, False),
    ],
)
def test_what_is_short(life: float, asked_for: float, short: bool) -> None:
    assert is_short_lived(timedelta(seconds=life), timedelta(seconds=asked_for)) is short
