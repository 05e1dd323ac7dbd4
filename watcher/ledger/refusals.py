"""Why the ledger's database did not do what it was asked, in Watcher's own words. Pure."""

from __future__ import annotations

import re
import sqlite3

FULL = "the ledger's disk is full"
NO_WRITES = "the ledger takes no writes"

_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: NO_WRITES,
    sqlite3.SQLITE_BUSY: "another process has it locked",
    sqlite3.SQLITE_LOCKED: "another process has it locked",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_IOERR: "its disk reports an error",
}
_STOPPING = "it is being started or stopped"
_POSTGRES = {
    "25006": NO_WRITES,  # read_only_sql_transaction: a standby
    "53100": FULL,
    "53300": "it has no connection left",
    "57014": "it took too long",
    "57P01": _STOPPING,
    "57P02": _STOPPING,
    "57P03": _STOPPING,
}
"""By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_TEXTS = (
    ("connection refused", "it refuses connections"),
    ("failed to resolve host|could not translate host", "DNS knows no address of it"),
    ("password authentication failed|no password supplied", "it refuses the password"),
    ('database ".*" does not exist', "it has no database of that name"),
    ('role ".*" does not exist', "it knows no user of that name"),
    ("no pg_hba.conf entry", "it lets nobody in from here (pg_hba.conf)"),
    ("timeout", "no answer in time"),
    ("network is unreachable|no route to host", "no way leads there"),
    ("no such file or directory", "nothing listens there"),
    ("too many clients|too many connections|connection slots", "it has no connection left"),
    ("starting up|shutting down|terminating connection", _STOPPING),
    ("closed the connection|connection reset", "it broke off the connection"),
    ("ssl|certificate", "no encrypted connection came about"),
    ("no space left", FULL),
)
"""A connection that does not come about has no SQLSTATE: psycopg has the server's text alone."""


def why(error: BaseException | None) -> str:
    """``FULL``, ``NO_WRITES``, or what is wrong with "it", the ledger. Of what has no words here
    the driver's own first line. The statement and its parameters, which may hold secrets, are in
    none of these."""
    if error is None:
        return "no answer"
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code & 0xFF in _SQLITE:
        return _SQLITE[code & 0xFF]
    known = _POSTGRES.get(getattr(error, "sqlstate", None) or "")
    if known:
        return known
    said = str(error)
    found = (words for text, words in _TEXTS if re.search(text, said, re.IGNORECASE))
    return next(found, (said.splitlines() or ["no answer"])[0])
