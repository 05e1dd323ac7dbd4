"""What the ledger knows of ERPNext: its versions, what it refuses, whether it answers late."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import counted, kept, read_text, sentence
from watcher.ledger import aside, rivals
from watcher.ledger.db import Database
from watcher.ledger.document import AsideCause, SetAside, SiteKnown
from watcher.ledger.models import Fact, Quarantined
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.secrets import digest
from watcher.settings import Settings

LATE_ANSWERS_FOR = timedelta(minutes=10)
CAUSES_SHOWN = 5
_TITLE = "private_title:"
_USUAL_TITLES = {Settings.model_fields[name].default for name in ("busy_title", "free_title")}


def set_aside(session: Session) -> SetAside:
    """Events that are not in ERPNext as they should be: how many, since when, why; without those
    that an admin leaves aside. The database counts them: a rule of the site's may refuse
    thousands."""
    totals = select(
        func.count(Quarantined.id),
        func.min(Quarantined.first_at),
        func.min(Quarantined.next_try_at),
    ).select_from(Quarantined)
    count, oldest, next_try = session.execute(aside.waiting(totals)).one()
    number, cause = func.count(Quarantined.id), Quarantined.cause
    alike = select(cause, Quarantined.message, number).select_from(Quarantined)
    rows = session.execute(
        aside.waiting(alike)
        .group_by(cause, Quarantined.message)
        .order_by(number.desc(), func.max(Quarantined.last_at).desc())
        .limit(CAUSES_SHOWN)
    )
    return SetAside(
        count=count,
        oldest=oldest,
        next_try=next_try,
        causes=tuple(
            AsideCause(cause=name or aside.UNMAPPABLE, message=message, count=many)
            for name, message, many in rows
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteFacts:
    """What ERPNext's site said of itself. ``versions`` maps an app to its version, ``warnings`` are
    what is known of these, ``key_is_unique`` is None where the API user may not look."""

    versions: Mapping[str, str]
    warnings: Sequence[str]
    key_is_unique: bool | None


def remember_site(session: Session, facts: SiteFacts, now: datetime) -> None:
    """Keep what the site says now, and since when its key has not been unique."""
    before = session.get(Fact, "erpnext_site")
    known = json.loads(before.value) if before else {}
    since = None
    if facts.key_is_unique is False:
        since = known.get("not_unique_since") or now.isoformat()
    value = {
        "versions": dict(facts.versions),
        "warnings": [kept(each) for each in facts.warnings],
        "not_unique_since": since,
    }
    session.merge(Fact(name="erpnext_site", value=json.dumps(value), learned_at=now))


def remember_company(session: Session, name: str, now: datetime) -> None:
    session.merge(Fact(name="erpnext_company", value=name, learned_at=now))


def company_read_at(session: Session) -> datetime | None:
    fact = session.get(Fact, "erpnext_company")
    return fact.learned_at if fact else None


def company(session: Session, settings: Settings) -> str:
    """What employees' pages call the company: the setting, else ERPNext's own company, else the
    host of its site."""
    fact = session.get(Fact, "erpnext_company")
    known = settings.company_name or (fact.value if fact else "")
    return known or urlsplit(settings.erpnext_url).hostname or "ERPNext"


def remember_desk(session: Session, link: str, now: datetime) -> None:
    """The page where employees authorise the Connected App, for the steps that name it."""
    session.merge(Fact(name="desk_link", value=link, learned_at=now))


def private_titles(db: Database, settings: Settings, now: datetime) -> frozenset[str]:
    """The titles by which rows of private events are known: what the settings name now, noted
    before a row is written with it, and what they named before, however long ago."""
    titles = {settings.busy_title, settings.free_title}
    with db.reading() as session:
        known = frozenset(session.scalars(select(Fact.value).where(Fact.name.startswith(_TITLE))))
    if not titles <= known | _USUAL_TITLES:
        with db.session() as session:
            for title in titles:
                name = f"{_TITLE}{digest(title)[:40]}"
                session.merge(Fact(name=name, value=title, learned_at=now))
    return known | titles


def remember_late_answers(session: Session, count: int, now: datetime) -> None:
    """``count`` writes were answered with an error and had been done all the same."""
    before = session.get(Fact, "erpnext_late_answers")
    lasts = before is not None and now - before.learned_at < LATE_ANSWERS_FOR
    since = _late_since(before) if before is not None and lasts else now
    value = json.dumps({"count": count, "since": since.isoformat()})
    session.merge(Fact(name="erpnext_late_answers", value=value, learned_at=now))


def _late_since(fact: Fact) -> datetime:
    """When the late answers began. A version before this one has kept their number alone."""
    value = json.loads(fact.value)
    if isinstance(value, dict):
        return datetime.fromisoformat(value["since"])
    return fact.learned_at


def site(session: Session) -> SiteKnown:
    """Versions of ERPNext's apps as last read, and what is known of them."""
    fact = session.get(Fact, "erpnext_site")
    if fact is None:
        return SiteKnown(versions={}, warnings=(), read_at=None)
    known = json.loads(fact.value)
    return SiteKnown(
        versions=known["versions"],
        warnings=tuple(read_text(each) for each in known["warnings"]),
        read_at=fact.learned_at,
    )


def problems(session: Session, now: datetime) -> list[Problem]:
    """What of ERPNext needs a person."""
    others = rivals.problems(session, now)
    return [*_key(session), *others, *_late(session, now), *_urgent(session)]


def _key(session: Session) -> Iterator[Problem]:
    """Without the index two that write the same event at once can make two rows of it."""
    fact = session.get(Fact, "erpnext_site")
    since = json.loads(fact.value).get("not_unique_since") if fact else None
    if since is not None:
        yield Problem(
            state=ProblemState.KEY_NOT_UNIQUE,
            cause=Cause.KEY_NOT_UNIQUE,
            since=datetime.fromisoformat(since),
            next_step="watcher erpnext setup",
            message=sentence(
                "the field custom_google_sync_key of ERPNext's Event is no longer unique, so that "
                "an event can come to stand there twice (the site is read every ten minutes)"
            ),
        )


def _late(session: Session, now: datetime) -> Iterator[Problem]:
    fact = session.get(Fact, "erpnext_late_answers")
    if fact is not None and now - fact.learned_at < LATE_ANSWERS_FOR:
        yield Problem(
            state=ProblemState.ERPNEXT_ANSWERS_LATE,
            cause=Cause.ERPNEXT_QUEUE_FULL,
            since=_late_since(fact),
            next_step=sentence(
                "see that ERPNext's background workers run, and what fills their queue: it writes "
                "what it is sent, and then answers with an error (nothing is lost)"
            ),
        )


def _urgent(session: Session) -> Iterator[Problem]:
    """What should be gone from ERPNext and still stands there, each calendar's by kind."""
    urgent: dict[tuple[str, str, str], list[Quarantined]] = defaultdict(list)
    for row, calendar, account in aside.urgent(session):
        urgent[account.email, calendar.google_id, row.kind].append(row)
    for (email, google_id, kind), rows in urgent.items():
        oldest = min(rows, key=lambda row: row.first_at)
        masking = kind == "masking"
        yield Problem(
            account=email,
            calendar=google_id,
            state=ProblemState.NOT_MASKED if masking else ProblemState.NOT_CANCELLED,
            cause=oldest.cause,
            since=oldest.first_at,
            next_step=oldest.step or "watcher queue show",
            message=_stands_there(len(rows), masking, oldest.message),
        )


def _stands_there(n: int, masking: bool, why: str) -> str:
    if masking:
        return counted(
            "%(n)s could not be masked in ERPNext: %(why)s",
            "%(n)s could not be masked in ERPNext: %(why)s",
            n,
            why=why,
        )
    return counted(
        "%(n)s could not be cancelled in ERPNext: %(why)s",
        "%(n)s could not be cancelled in ERPNext: %(why)s",
        n,
        why=why,
    )
