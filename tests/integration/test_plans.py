"""How PostgreSQL comes to the answers that are asked for every few seconds: what it reads for them
does not grow with the number of calendars, apart from the two numbers of rows that it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from benchmarks.ledger import GROWING, WORKS, fill_up
from tests.ledgers import Postgres
from watcher.ledger.db import Database
from watcher.ledger.freshness import MOST

CALENDARS = 4_000
FEW = CALENDARS // 20
COUNTED = {"accounts", "calendars"}


@pytest.fixture(scope="module")
def many(postgres: Postgres) -> Iterator[Database]:
    """A ledger in which one calendar in a hundred is due or in trouble."""
    with postgres.database(postgres.migrated) as url:
        fill_up(url, CALENDARS, 2)
        db = Database(url)
        yield db
        db.dispose()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def plans(db: Database, name: str) -> list[dict[str, Any]]:
    """What each statement of one piece of work was to PostgreSQL, as it carried it out."""
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        sent.append((statement, given))

    event.listen(db.engine, "before_cursor_execute", note)
    with db.session() as session:
        WORKS[name](db, session, datetime.now(UTC))
        session.rollback()
    event.remove(db.engine, "before_cursor_execute", note)
    with db.engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
            for statement, given in sent
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
        ]
        read = [answer.scalar_one()[0]["Plan"] for answer in found]
        connection.rollback()
    return read


@pytest.mark.parametrize("name", WORKS)
def test_nothing_is_read_from_end_to_end(many: Database, name: str) -> None:
    read: Counter[str] = Counter()
    for plan in plans(many, name):
        for node in nodes(plan):
            table = node.get("Relation Name")
            if table not in GROWING or "Actual Loops" not in node:
                continue
            assert node["Node Type"] != "Seq Scan", f"{table}: {plan}"
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            is_counted = node["Node Type"] == "Index Only Scan" and "Filter" not in node
            if not (is_counted and table in COUNTED and "Index Cond" not in node):
                read[table] += rows * node["Actual Loops"]
    runs = read.pop("runs", 0)
    assert runs <= MOST + FEW
    assert all(number <= FEW for number in read.values()), read
