"""Which of an account's calendars is its own, what is noted when Google names or refuses it, and
which calendars are other accounts', too."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from watcher.errors import Permanent
from watcher.ledger import calendars, models, owing
from watcher.ledger.states import LEAVING, CalendarState


def is_own(session: Session, account: models.Account, google_id: str) -> bool:
    """Whether this is the account's own (main) calendar: by its address, by the word ``primary``,
    or by the id that Google named."""
    noted = session.get(models.Fact, _own(account.id))
    names = {account.email, "primary", noted.value.lower() if noted else account.email}
    return google_id.strip().lower() in names


def of_account(session: Session, account: models.Account) -> models.Calendar | None:
    """The account's own calendar, if that is mirrored."""
    known = calendars.of_account(session, account.id)
    return next((each for each in known if is_own(session, account, each.google_id)), None)


def add(
    session: Session, account: models.Account, google_id: str, is_own: bool, now: datetime
) -> models.Calendar:
    """Mirror a calendar that was proved. An account has one calendar of its own: where that is
    mirrored under another id, its next sync sees to the id."""
    mine = of_account(session, account) if is_own else None
    if mine is None and is_own:
        note_own(session, account, google_id, now)
    return calendars.add(session, account.id, mine.google_id if mine else google_id, now)


def mirrored_by_others(
    session: Session, account_id: int, google_ids: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """By the id in lower case, whose other accounts mirror these calendars of Google's, too: each
    account has rows of its own in ERPNext, so that their events stand there once for each."""
    wanted = {google_id.lower() for google_id in google_ids}
    rows = session.execute(
        select(func.lower(models.Calendar.google_id), models.Account.email)
        .join(models.Account)
        .where(
            func.lower(models.Calendar.google_id).in_(wanted),
            models.Calendar.removed.is_(False),
            models.Account.id != account_id,
            models.Account.state.not_in(LEAVING),
        )
        .order_by(models.Account.email)
    ).all()
    return {
        google_id: tuple(email for found, email in rows if found == google_id)
        for google_id in {found for found, _ in rows}
    }


def note_own(session: Session, account: models.Account, google_id: str, now: datetime) -> None:
    """Remember under which id Google shows the account's own calendar, if not by its address."""
    noted = session.get(models.Fact, _own(account.id))
    if google_id.lower() not in (account.email, "primary"):
        session.merge(models.Fact(name=_own(account.id), value=google_id, learned_at=now))
    elif noted is not None:
        session.delete(noted)


def _own(account_id: int) -> str:
    return f"own_calendar:{account_id}"


def name_primary(
    session: Session, calendar: models.Calendar, google_id: str, now: datetime
) -> None:
    """Google has named a calendar that was known as ``primary`` only. The name is kept while
    nothing is mirrored under that word. The caller has the calendar locked, and nobody else is
    about to mirror it (``leases.another_works``)."""
    if calendar.google_id != "primary" or calendar.synced_seq > 0:
        return
    if calendars.find(session, calendar.account_id, google_id) is None:
        calendar.google_id = google_id
        note_own(session, session.get_one(models.Account, calendar.account_id), google_id, now)


def move_to(session: Session, calendar: models.Calendar, google_id: str, now: datetime) -> None:
    """Google shows the calendar under another id from now on; it is listed anew. Where the account
    mirrors that one already, this one is let go. Lock the account first (``accounts.lock``)."""
    there = calendars.find(session, calendar.account_id, google_id)
    if there is None or there.id == calendar.id:
        there = calendar
        calendar.google_id = google_id
    else:
        calendar.removed = True
    calendar.sync_token = None
    calendars.revive(there, now)
    owing.owe_listings(session, [there.id], "moved", now)


def refuse(calendar: models.Calendar, error: Permanent, now: datetime) -> None:
    """Google does not show this calendar, as was found before its first sync: what is to be done
    shows at once. It is tried again like any other that fails."""
    calendar.state, calendar.cause, calendar.message = (
        CalendarState.FAILING,
        error.cause,
        error.message,
    )
    calendar.since, calendar.failures = now, calendars.SURE_AFTER
