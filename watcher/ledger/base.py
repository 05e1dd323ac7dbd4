"""What all tables of the ledger have in common: one set of names, and enumerations as words."""

from __future__ import annotations

from sqlalchemy import Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase

from watcher.ledger.columns import words
from watcher.ledger.states import AccountState, CalendarState, ChannelState


class Base(DeclarativeBase):
    type_annotation_map = {
        AccountState: words(AccountState, 20),
        CalendarState: words(CalendarState, 20),
        ChannelState: words(ChannelState, 12),
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def index(name: str, column: str, rows: str = "", on_sqlite: str = "") -> Index:
    """An index of ``rows`` alone, where a condition is given; ``on_sqlite`` where the same is said
    in other words there."""
    where = text(rows) if rows else None
    there = text(on_sqlite) if on_sqlite else where
    return Index(name, column, sqlite_where=there, postgresql_where=where)
