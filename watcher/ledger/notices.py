"""Notices in the ledger: what was seen, who was told of it how often, what is mended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from watcher.ledger.columns import BigId, SentenceText, UtcDateTime
from watcher.ledger.models import Account, Base

KEEP = timedelta(days=40)
UNDELIVERED_AFTER = timedelta(minutes=30)


class Notice(Base):
    """A trouble that people are told of, from when it was first seen until it is mended and
    everybody who was told knows. ``key`` names it and is unique while it lasts; ``group_id`` is
    the common cause it belongs to. ``mailed``, ``posted`` and ``asked`` (the employee, by ToDo)
    count how often each was told."""

    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "uq_notices_key",
            "key",
            unique=True,
            sqlite_where=text("mended_at IS NULL"),
            postgresql_where=text("mended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(500))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("notices.id"), index=True)
    is_group: Mapped[bool] = mapped_column(Boolean, default=False)
    who: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(40))
    cause: Mapped[str] = mapped_column(String(80))
    message: Mapped[str] = mapped_column(SentenceText, default="")
    step: Mapped[str] = mapped_column(SentenceText, default="")
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    mailed: Mapped[int] = mapped_column(Integer, default=0)
    posted: Mapped[int] = mapped_column(Integer, default=0)
    asked: Mapped[int] = mapped_column(Integer, default=0)
    todo: Mapped[str | None] = mapped_column(String(140))
    mended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_by: Mapped[str] = mapped_column(String(10), default="")
    error: Mapped[str] = mapped_column(SentenceText, default="")


def lasting(session: Session) -> Sequence[Notice]:
    """Troubles that are not mended, oldest first."""
    return session.scalars(
        select(Notice).where(Notice.mended_at.is_(None)).order_by(Notice.seen_at, Notice.id)
    ).all()


def to_wind_up(session: Session) -> Sequence[Notice]:
    """Mended, but not everybody who was told knows; and ToDos of what has turned out to be a
    common cause."""
    return session.scalars(
        select(Notice)
        .where(
            Notice.closed_at.is_(None),
            Notice.mended_at.is_not(None)
            | (Notice.group_id.is_not(None) & Notice.todo.is_not(None)),
        )
        .order_by(Notice.id)
    ).all()


def open_now(session: Session) -> Sequence[Notice]:
    """Everything that is not closed, for people."""
    return session.scalars(
        select(Notice).where(Notice.closed_at.is_(None)).order_by(Notice.seen_at, Notice.id)
    ).all()


def add(
    session: Session, *, key: str, account: str | None, state: str, cause: str, now: datetime
) -> Notice:
    """A trouble that has just been seen; ``account`` is the address it concerns alone."""
    account_id = None
    if account is not None:
        account_id = session.scalar(select(Account.id).where(Account.email == account))
    notice = Notice(
        key=key,
        account_id=account_id,
        who=account or "",
        state=state,
        cause=cause,
        message="",
        step="",
        seen_at=now,
        is_group=False,
        mailed=0,
        posted=0,
        asked=0,
        failing_by="",
        error="",
    )
    session.add(notice)
    session.flush()
    return notice


def group(session: Session, notice_id: int, members: Iterable[int]) -> None:
    session.execute(update(Notice).where(Notice.id.in_(members)).values(group_id=notice_id))


def members(session: Session, notice_id: int) -> list[str]:
    """Whom a common cause concerns and has not left, by address."""
    found = session.scalars(
        select(Notice.who)
        .where(Notice.group_id == notice_id, Notice.mended_at.is_(None))
        .order_by(Notice.who)
    )
    return list(dict.fromkeys(found))


def mend(session: Session, ids: Iterable[int], now: datetime) -> None:
    """What nobody has been told of is closed with it, without a word."""
    for notice in session.scalars(select(Notice).where(Notice.id.in_(list(ids)))):
        notice.mended_at = now
        if notice.mailed + notice.posted == 0 and notice.todo is None:
            notice.closed_at = now


def forget_todo(session: Session, name: str, now: datetime) -> None:
    """The ToDo is closed, and nobody is told any more of what it was about."""
    session.execute(
        update(Notice)
        .where(Notice.todo == name, Notice.closed_at.is_(None))
        .values(todo=None, mended_at=func.coalesce(Notice.mended_at, now), closed_at=now)
    )


def undelivered(session: Session, now: datetime) -> list[tuple[str, str, datetime]]:
    """What cannot be delivered for half an hour: the medium, its failure, and since when."""
    rows = session.execute(
        select(Notice.failing_by, func.max(Notice.error), func.min(Notice.failing_since))
        .where(Notice.closed_at.is_(None), Notice.failing_since < now - UNDELIVERED_AFTER)
        .group_by(Notice.failing_by)
        .order_by(Notice.failing_by)
    )
    return [(row[0], row[1], row[2] or now) for row in rows]


def prune(session: Session, now: datetime) -> None:
    """Forget what was closed long ago; members go before the common cause they point to."""
    old = Notice.closed_at < now - KEEP
    session.execute(delete(Notice).where(old, Notice.group_id.is_not(None)))
    still = select(Notice.group_id).where(Notice.group_id.is_not(None))
    session.execute(delete(Notice).where(old, Notice.id.not_in(still)))
