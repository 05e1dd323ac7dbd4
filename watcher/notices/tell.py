"""Tell people what `status` says needs them, and when it is mended.

The admins by mail and webhook; the employee whose account has to be connected again by a ToDo in
ERPNext. At least once: a process that is killed between telling and noting it tells again. What
cannot be delivered is tried again, each medium for itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.orm import Session

from watcher.erpnext import todos
from watcher.errors import WatcherError, contained
from watcher.ledger import admins, causes, leases, overview, steps
from watcher.ledger import notices as ledger
from watcher.ledger.models import Account
from watcher.ledger.problems import Problem
from watcher.ledger.states import AccountState
from watcher.notices import decide, employees, media, words
from watcher.notices.decide import Known, Trouble
from watcher.notices.media import MAIL, TODO, WEBHOOK
from watcher.services import Services

log = logging.getLogger(__name__)

LEASE, LEASE_SECONDS = "tell", 120.0
OF_CALENDARS = ("failing", "delayed")
NEW_WAVE = timedelta(days=1)
_COUNTER = {MAIL: "mailed", WEBHOOK: "posted", TODO: "asked"}


def tell(services: Services) -> int:
    """Look, decide, tell; returns how many messages went out. Another process at it: 0."""
    if not _lease(services):
        return 0
    try:
        troubles = observe(services)
        sent = sum(
            contained(partial(_tell_one, services, notice, wanted, troubles), lambda _: 0)
            for notice, wanted in _due(services)
        )
        with services.db.reading() as session:
            ended = list(ledger.to_wind_up(session))
        return sent + sum(
            contained(partial(_wind_up, services, notice), lambda _: 0) for notice in ended
        )
    finally:
        with services.db.session() as session:
            leases.drop(session, LEASE, services.owner)


def observe(services: Services) -> list[Trouble]:
    """Bring the ledger's notices up to what is wrong now."""
    troubles = [_trouble(problem) for problem in overview.look(services).problems]
    troubles += employees.to_invite(services)
    now = services.clock()
    with services.db.session() as session:
        rows = {row.key: row for row in ledger.lasting(session)}
        ledger.mend(session, decide.vanished([_known(row) for row in rows.values()], troubles), now)
        for key, alike in _by_key(troubles).items():
            row = rows.get(key) or _add(session, key, alike[0], now)
            row.state, row.message, row.step = alike[0].state, _message(alike), alike[0].step
            if row.cause != alike[0].cause:
                row.cause, row.asked = alike[0].cause, 0  # the ToDo is to say so
        _join(session)
    return troubles


def _by_key(troubles: Sequence[Trouble]) -> dict[str, list[Trouble]]:
    found: dict[str, list[Trouble]] = defaultdict(list)
    for trouble in troubles:
        found[trouble.key].append(trouble)
    return found


def _message(alike: Sequence[Trouble]) -> str:
    first = alike[0]
    if len(alike) == 1 and first.is_one_of_many:
        return first.text
    return words.among(len(alike), first.account, first.text) if first.account else first.text


def _trouble(problem: Problem) -> Trouble:
    return Trouble(
        account=problem.account,
        calendar=problem.calendar,
        state=problem.state,
        cause=problem.cause,
        text=words.message(problem.message or "", problem.holds),
        step=problem.next_step,
    )


def _add(session: Session, key: str, trouble: Trouble, now: datetime) -> ledger.Notice:
    return ledger.add(
        session,
        key=key,
        account=trouble.account if trouble.is_one_of_many else None,
        state=trouble.state,
        cause=trouble.cause,
        now=now,
    )


def _known(row: ledger.Notice) -> Known:
    return Known(
        id=row.id,
        key=row.key,
        cause=row.cause,
        seen_at=row.seen_at,
        group=row.group_id,
        is_group=row.is_group,
        is_one_of_many=bool(row.who) and row.state != AccountState.INVITED,
    )


def _join(session: Session) -> None:
    session.flush()
    rows = {row.id: row for row in ledger.lasting(session)}
    for joint in decide.joined([_known(row) for row in rows.values()]):
        first = rows[joint.members[0]]
        group = rows[joint.group] if joint.group else _add_group(session, first)
        if first.seen_at > group.seen_at + NEW_WAVE:
            # Those who were told of the first wave are told of this one.
            group.seen_at, group.mailed, group.posted = first.seen_at, 0, 0
        ledger.group(session, group.id, joint.members)
        log.warning("%s fail alike: one cause", len(joint.members))


def _add_group(session: Session, first: ledger.Notice) -> ledger.Notice:
    group = ledger.add(
        session,
        key=f"common:{first.cause}",
        account=None,
        state=first.state,
        cause=first.cause,
        now=first.seen_at,
    )
    group.is_group, group.step = True, _common_step(first)
    # What one has done for himself is nothing that many have done at the same time.
    group.message = "" if first.message == steps.MAY_BE_A_WISH else first.message
    return group


def _common_step(first: ledger.Notice) -> str:
    return words.ONE_CAUSE if "accounts invite" in first.step else first.step


def _due(services: Services) -> list[tuple[ledger.Notice, int]]:
    """What lasts and is told on its own, with how often it is to have been told by now."""
    now = services.clock()
    with services.db.reading() as session:
        rows = [row for row in ledger.lasting(session) if row.group_id is None]
    return [(row, decide.rounds_due(row.seen_at, row.state, row.cause, now)) for row in rows]


def _media(services: Services, notice: ledger.Notice, troubles: Sequence[Trouble]) -> list[str]:
    """The media by which this can be told: never one that is itself in trouble. That somebody is
    invited is the employee's matter alone."""
    invited = notice.state == AccountState.INVITED
    usable = [] if invited else decide.usable(media.configured(services.settings), notice.cause)
    if (
        not any(trouble.cause in causes.ERPNEXT for trouble in troubles)
        and employees.who_can_mend(services, notice) is not None
    ):
        usable.append(TODO)
    return usable


# --- telling ------------------------------------------------------------------------------


def _tell_one(
    services: Services, notice: ledger.Notice, wanted: int, troubles: Sequence[Trouble]
) -> int:
    """Tell of one notice by each medium that has told of it less than ``wanted`` times."""
    owed = [
        medium
        for medium in _media(services, notice, troubles)
        if getattr(notice, _COUNTER[medium]) < wanted
    ]
    return sum(
        contained(
            partial(_deliver, services, notice, medium, wanted),
            partial(_note_failure, services, notice, medium),
        )
        for medium in owed
    )


def _deliver(services: Services, notice: ledger.Notice, medium: str, wanted: int) -> int:
    if not _lease(services):
        return 0
    todo: str | None = None
    if medium == TODO:
        todo = employees.ask(services, notice)
    else:
        _tell_admins(services, medium, _for_admins(services, notice, wanted))
    with services.db.session() as session:
        row = session.get_one(ledger.Notice, notice.id)
        setattr(row, _COUNTER[medium], wanted)
        row.todo = todo or row.todo
        if row.failing_by == medium:
            row.error, row.failing_by, row.failing_since = "", "", None
    log.info("notice %s of %s told by %s", notice.id, notice.cause, medium)
    return 1


def _tell_admins(services: Services, medium: str, told: media.Told) -> None:
    with services.db.reading() as session:
        languages = admins.languages(session, services.settings.admin_emails)
    media.send(services.settings, medium, told, languages)


def _for_admins(services: Services, notice: ledger.Notice, times: int) -> media.Told:
    with services.db.reading() as session:
        who = ledger.members(session, notice.id) if notice.is_group else []
        account = session.get(Account, notice.account_id) if notice.account_id else None
        about = (account.email, account.erpnext_user or "") if account else None
    settings = services.settings
    what, page = _what(notice, len(who)), settings.public_url
    all_of_them = words.of_all(page, notice.state, notice.cause)
    links = words.links(page, settings.erpnext_url, about)
    if page and not who and about is None and notice.state in OF_CALENDARS:
        links.append((words.HELD_UP, all_of_them))
    told = words.ForAdmins(
        what=what,
        text=notice.message,
        step=notice.step,
        who=[(each, words.of_one(page, each)) for each in who],
        all_of_them=all_of_them,
        links=links,
    )
    return media.Told(subject=words.subject(what, times=times), text=told.body)


def _what(notice: ledger.Notice, many: int = 0) -> str:
    state = notice.state.replace("_", " ")
    if notice.is_group:
        return words.what_many_have(many, state, notice.cause)
    return words.what_is_wrong(notice.who, state, notice.cause)


# --- winding up ---------------------------------------------------------------------------


def _wind_up(services: Services, notice: ledger.Notice) -> int:
    """Close the ToDo and tell the admins who were told. Each is done once; the rest next time."""
    sent = 0
    for medium in _still_owed(notice):
        if not _lease(services):
            return sent
        sent += contained(
            partial(_tell_the_end, services, notice, medium),
            partial(_note_failure, services, notice, medium),
        )
    with services.db.session() as session:
        row = session.get_one(ledger.Notice, notice.id)
        if row.mended_at is not None and not _still_owed(row):
            row.closed_at, row.failing_since = services.clock(), None
    return sent


def _tell_the_end(services: Services, notice: ledger.Notice, medium: str) -> int:
    if medium == TODO:
        todos.close(services.erpnext, notice.todo or "")
    elif medium in media.configured(services.settings):
        left = _has_left(services, notice)
        what = words.ended(_what(notice), by_disconnection=left)
        _tell_admins(services, medium, media.Told(subject=words.subject(what), text=what))
    with services.db.session() as session:
        _settled(session.get_one(ledger.Notice, notice.id), medium)
    return 1


def _has_left(services: Services, notice: ledger.Notice) -> bool:
    """Whether it has ended because the account was disconnected."""
    if notice.account_id is None:
        return False
    with services.db.reading() as session:
        account = session.get_one(Account, notice.account_id)
    return account.state in (AccountState.DISCONNECTING, AccountState.DISCONNECTED)


def _still_owed(notice: ledger.Notice) -> list[str]:
    """Whom to tell that it is mended; of a common cause's parts only the ToDos are closed."""
    owed = [TODO] if notice.todo is not None else []
    if notice.mended_at is not None and notice.group_id is None:
        owed += [medium for medium in (MAIL, WEBHOOK) if getattr(notice, _COUNTER[medium])]
    return owed


def _settled(row: ledger.Notice, medium: str) -> None:
    if medium == TODO:
        row.todo = None
    else:
        setattr(row, _COUNTER[medium], 0)


def _note_failure(
    services: Services, notice: ledger.Notice, medium: str, error: WatcherError
) -> int:
    """Returns 0: no message has gone out."""
    log.warning("notice %s not delivered by %s: %s", notice.id, medium, error.message)
    with services.db.session() as session:
        row = session.get_one(ledger.Notice, notice.id)
        row.error, row.failing_by = error.message, medium
        row.failing_since = row.failing_since or services.clock()
    return 0


def _lease(services: Services) -> bool:
    """One process tells at a time; prolonged before each message, which may take a while."""
    with services.db.session() as session:
        return leases.take(services.db, session, LEASE, services.owner, LEASE_SECONDS)
