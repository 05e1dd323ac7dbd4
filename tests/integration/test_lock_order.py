"""Several processes change the same accounts, calendars and channels: none exceeds what all may do
together, and none waits for another that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.company import ANN, BOB, Company
from tests.integration.test_jobs_leases import at_once
from watcher.accounts.verbs import add_delegated, set_event_type
from watcher.channels.registry import open_channel
from watcher.errors import CapReached
from watcher.ledger import accounts, calendars, connect, opening, owing, renewals
from watcher.ledger.db import Database
from watcher.ledger.models import Calendar
from watcher.ledger.states import AccountState
from watcher.services import Services
from watcher.sync.work import work_off

PROCESSES, CAP = 8, 3


def another_process(company: Company, number: int) -> Services:
    """With a connection of its own to the ledger."""
    db = Database(company.settings.ledger_url)
    return replace(company.services, db=db, owner=f"process {number}")


def test_all_processes_together_keep_the_cap_of_new_channels(company: Company) -> None:
    company.set("renew_per_minute", str(CAP))
    now = company.services.clock()
    people = [f"employee{n}@scoopjoy.test" for n in range(PROCESSES)]
    with company.services.db.session() as session:
        ids = []
        for email in people:
            company.google.add_user(email)
            account = accounts.add(
                session, email=email, source="service-account", state=AccountState.ACTIVE, now=now
            )
            ids.append(calendars.add(session, account.id, email, now).id)
    processes = [another_process(company, n) for n in range(PROCESSES)]

    def opens(services: Services, number: int) -> Callable[[], object]:
        return lambda: open_channel(services, number, instead_of=None)

    ended = at_once(*(opens(*each) for each in zip(processes, ids, strict=True)))
    refused = [error for error in ended if error is not None]
    assert {type(error) for error in refused} == {CapReached}
    assert len(refused) == PROCESSES - CAP
    assert company.google.log.counts()["events.watch"] == CAP
    with company.services.db.reading() as session:
        assert opening.asked_within_a_minute(session, now) == CAP
    company.later(minutes=1, seconds=1)
    open_channel(company.services, ids[ended.index(refused[0])], instead_of=None)
    for services in processes:
        services.db.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_wishes_registrations_and_passes_do_not_wait_for_each_other_in_a_ring(
    company: Company,
) -> None:
    """PostgreSQL ends one of two transactions that take the same row locks in different orders."""
    company.setup_erpnext()
    for email in (ANN, BOB):
        company.add(email)
    services = company.services
    with services.db.session() as session:
        account_id = accounts.get(session, ANN).id
        for n in range(6):
            made = calendars.add(session, account_id, f"outlet{n}@group.test", services.clock())
            company.google.add_calendar(made.google_id, ANN)
        ids = list(session.scalars(select(Calendar.id)))

    def often(times: int, step: Callable[[Services], object]) -> Callable[[], object]:
        mine = another_process(company, times)

        def run() -> None:
            for _ in range(times):
                step(mine)
            mine.db.dispose()

        return run

    def resync(mine: Services) -> None:
        with mine.db.session() as session:
            owing.owe_now(session, ids, "resync", mine.clock())
            owing.allow_sweeps(session, ids, mine.clock())

    def retry(mine: Services) -> None:
        with mine.db.session() as session:
            owing.owe_now(session, reversed(ids), "retry", mine.clock())

    def consent(mine: Services) -> None:
        """What the callback of a consent stores, in its order."""
        with mine.db.session() as session:
            accounts.lock(session, account_id)
            connect.create_invitation(session, account_id, mine.clock())
            accounts.activate(session, accounts.get(session, ANN), mine.clock())

    def invite(mine: Services) -> None:
        with mine.db.session() as session:
            connect.lasting_invitation(session, account_id, mine.clock())

    def renew_all(mine: Services) -> None:
        with mine.db.session() as session:
            renewals.make_due(session, mine.clock())

    def policy(mine: Services) -> None:
        for word in ("Private", None):
            set_event_type(mine, ANN, word)

    def passes(mine: Services) -> None:
        for number in ids[:3]:
            work_off(mine, number, "push")

    ended = at_once(
        often(25, resync),
        often(25, retry),
        often(25, consent),
        often(25, invite),
        often(25, renew_all),
        often(6, policy),
        often(3, lambda mine: add_delegated(mine, ANN)),
        often(2, passes),
    )
    assert ended == [None] * 8
