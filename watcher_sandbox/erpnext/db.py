"""The site's SQLite database: a table for each document type, compared as MariaDB compares."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

Row = dict[str, Any]

CHILDREN = "_children"
"""Column with the rows of a document's child tables, as JSON."""
_INTEGERS = frozenset({"Check", "Int"})


class Duplicate(Exception):
    """A second row with the same value of a unique column."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


def folded(value: object) -> str:
    """Compare text as MariaDB does: case and trailing spaces do not count."""
    return str(value).rstrip(" ").casefold()


def _compare(left: str, right: str) -> int:
    a, b = folded(left), folded(right)
    return (a > b) - (a < b)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    """LIKE: % any text, _ any one character, and a backslash takes either literally."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(each) or re.escape(each[-1]) for each in parts), re.DOTALL)


def _like(pattern: str | None, value: object, _escape: str) -> bool:
    if pattern is None or value is None:
        return False
    return _pattern(pattern.casefold()).fullmatch(str(value).casefold()) is not None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Database:
    """One connection for all threads; whoever uses it holds ``lock``.

    ``path`` may be a file, which then outlives the process: what a killed server had answered
    is there when the next one opens it.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        self.lock = threading.RLock()
        self._depth = 0
        self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._sql.create_collation("mariadb", _compare)
        self._sql.create_function("like", 3, _like, deterministic=True)
        self.run("CREATE TABLE IF NOT EXISTS site (key TEXT PRIMARY KEY, value TEXT)")

    def run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.lock:
            return self._sql.execute(statement, values).fetchall()

    def close(self) -> None:
        with self.lock:
            self._sql.close()

    # --- what is kept beside the documents ------------------------------------------------------

    def setting(self, key: str, default: Any = None) -> Any:
        found = self.run("SELECT value FROM site WHERE key = ?", (key,))
        return json.loads(found[0][0]) if found else default

    def set(self, key: str, value: Any) -> None:
        self.run("INSERT OR REPLACE INTO site VALUES (?, ?)", (key, json.dumps(value)))

    # --- tables ---------------------------------------------------------------------------------

    def create(self, doctype: str, columns: Iterable[tuple[str, str]]) -> None:
        """``columns`` are (name, field type); ``name`` is the primary key. A table that is there
        already gets the columns that it lacks."""
        parts = {name: self._declared(name, kind) for name, kind in columns}
        parts[CHILDREN] = f"{_quoted(CHILDREN)} TEXT"
        self.run(f"CREATE TABLE IF NOT EXISTS {_table(doctype)} ({', '.join(parts.values())})")
        have = self._columns(doctype)
        for name, part in parts.items():
            if name not in have:
                self.run(f"ALTER TABLE {_table(doctype)} ADD COLUMN {part}")

    def _columns(self, doctype: str) -> frozenset[str]:
        return frozenset(row[1] for row in self.run(f"PRAGMA table_info({_table(doctype)})"))

    def add_column(self, doctype: str, name: str, kind: str, unique: bool) -> None:
        """A column that is there already keeps its values, as with Frappe."""
        if name not in self._columns(doctype):
            self.run(f"ALTER TABLE {_table(doctype)} ADD COLUMN {self._declared(name, kind)}")
        index = _quoted(f"unique {doctype} {name}")
        self.run(f"DROP INDEX IF EXISTS {index}")
        if unique:
            self.run(f"CREATE UNIQUE INDEX {index} ON {_table(doctype)} ({_quoted(name)})")

    def drop(self, doctype: str) -> None:
        self.run(f"DROP TABLE IF EXISTS {_table(doctype)}")

    @staticmethod
    def _declared(name: str, kind: str) -> str:
        if name == "name":
            return "name TEXT COLLATE mariadb PRIMARY KEY NOT NULL"
        return f"{_quoted(name)} {'INTEGER' if kind in _INTEGERS else 'TEXT COLLATE mariadb'}"

    # --- rows -----------------------------------------------------------------------------------

    def select(
        self,
        doctype: str,
        columns: Sequence[str],
        where: str = "",
        values: Sequence[object] = (),
        order: str = "",
        limit: int = -1,
        offset: int = 0,
    ) -> list[Row]:
        """``where`` and ``order`` are SQL; ``limit`` -1 is no limit."""
        found = self.run(
            f"SELECT {', '.join(map(_quoted, columns))} FROM {_table(doctype)}"
            f"{' WHERE ' + where if where else ''}"
            f"{' ORDER BY ' + order if order else ''} LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return [dict(zip(columns, row, strict=True)) for row in found]

    def count(self, doctype: str, where: str, values: Sequence[object]) -> int:
        condition = f" WHERE {where}" if where else ""
        return int(self.run(f"SELECT COUNT(*) FROM {_table(doctype)}{condition}", values)[0][0])

    def put(self, doctype: str, row: Row) -> None:
        """Insert, or replace the row of that name. Raises Duplicate."""
        names = [_quoted(name) for name in row]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        try:
            self.run(
                f"INSERT INTO {_table(doctype)} ({', '.join(names)}) "
                f"VALUES ({', '.join('?' * len(row))}) "
                f"ON CONFLICT (name) DO UPDATE SET {changes}",
                list(row.values()),
            )
        except sqlite3.IntegrityError as error:
            raise Duplicate(str(error).rpartition(".")[2]) from error

    def remove(self, doctype: str, name: str) -> None:
        self.run(f"DELETE FROM {_table(doctype)} WHERE name = ?", (name,))

    def dump(self) -> str:
        """Every row of every table as text, a line each, for a search. Keys are left out."""
        with self.lock:
            found = self.run("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            return "\n".join(line for (table,) in found for line in self._lines(table))

    def _lines(self, table: str) -> Iterator[str]:
        cursor = self._sql.execute(f"SELECT * FROM {_quoted(table)}")
        names = [each[0] for each in cursor.description]
        for values in cursor:
            row = {n: v for n, v in zip(names, values, strict=True) if v is not None}
            if row.get("key") != "users":
                yield f"{table} {json.dumps(row, ensure_ascii=False)}"

    # --- transactions ---------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or, when anything is raised, none of it. Nests: the inner ones are savepoints,
        and the outermost savepoint is a transaction of its own."""
        with self.lock:
            level = f"level{self._depth}"
            self.run(f"SAVEPOINT {level}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self.run(f"ROLLBACK TO {level}")
                raise
            finally:
                self._depth -= 1
                self.run(f"RELEASE {level}")

    def rollback(self) -> None:
        """Undo all that the running transaction did so far, as a deadlock does, and go on."""
        self.run("ROLLBACK TO level0")


def _table(doctype: str) -> str:
    return _quoted(f"tab{doctype}")
