"""Types of the ledger's columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, Text
from sqlalchemy.types import TypeDecorator

from watcher.languages.sentence import Sentence


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out, on databases with and without zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware datetimes only")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


MOST_SAID = 2_000
"""So much is kept of a text that is shown to people."""
_APART = "\x1f"


class SentenceText(TypeDecorator[str]):
    """A text that is shown to people, kept with what it was made of where it is a ``Sentence`` with
    values: its English first, then the rest as JSON behind a control character that no text has."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        text = value[:MOST_SAID].replace(_APART, " ")
        if not isinstance(value, Sentence) or not value.values:
            return text
        return f"{text}{_APART}{json.dumps(value.as_kept(), ensure_ascii=False)}"

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        text, _, kept = str(value).partition(_APART)
        return Sentence.from_kept(json.loads(kept)) if kept else text


BigId = BigInteger().with_variant(Integer, "sqlite")


def words(states: type[StrEnum], length: int) -> Enum:
    """A column of the states' values, as plain text."""
    return Enum(
        states, native_enum=False, length=length, values_callable=lambda s: [w.value for w in s]
    )
