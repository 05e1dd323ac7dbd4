"""Why the ledger's database did not do what it was asked, in Watcher's own words. Pure."""

from __future__ import annotations

import re
import sqlite3

from watcher.errors import ExitCode, LedgerAway, UserError, WatcherError, sentence

FULL = sentence("the ledger's disk is full")
NO_WRITES = sentence("the ledger takes no writes")

_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: NO_WRITES,
    sqlite3.SQLITE_BUSY: sentence("another process has it locked"),
    sqlite3.SQLITE_LOCKED: sentence("another process has it locked"),
    sqlite3.SQLITE_CANTOPEN: sentence("its file cannot be opened"),
    sqlite3.SQLITE_IOERR: sentence("its disk reports an error"),
}
_STOPPING = sentence("it is being started or stopped")
BROKEN_OFF = "25P03"
"""``idle_in_transaction_session_timeout``: the next statement came too late."""
_POSTGRES = {
    "25006": NO_WRITES,  # read_only_sql_transaction: a standby
    BROKEN_OFF: sentence("it broke off the connection"),
    "53100": FULL,
    "53300": sentence("it has no connection left"),
    "57014": sentence("it took too long"),
    "57P01": _STOPPING,
    "57P02": _STOPPING,
    "57P03": _STOPPING,
}
"""By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_TEXTS = (
    ("connection refused", sentence("it refuses connections")),
    ("failed to resolve host|could not translate host", sentence("DNS knows no address of it")),
    ("password authentication failed|no password supplied", sentence("it refuses the password")),
    ('database ".*" does not exist', sentence("it has no database of that name")),
    ('role ".*" does not exist', sentence("it knows no user of that name")),
    ("no pg_hba.conf entry", sentence("it lets nobody in from here (pg_hba.conf)")),
    ("timeout", sentence("no answer in time")),
    ("network is unreachable|no route to host", sentence("no way leads there")),
    ("no such file or directory", sentence("nothing listens there")),
    (
        "too many clients|too many connections|connection slots",
        sentence("it has no connection left"),
    ),
    ("starting up|shutting down|terminating connection", _STOPPING),
    ("closed the connection|connection reset", sentence("it broke off the connection")),
    ("ssl|certificate", sentence("no encrypted connection came about")),
    ("no space left", FULL),
)
"""A connection that does not come about has no SQLSTATE: psycopg has the server's text alone."""


def why(error: BaseException | None) -> str:
    """``FULL``, ``NO_WRITES``, or what is wrong with "it", the ledger. Of what has no words here
    the driver's own first line. The statement and its parameters, which may hold secrets, are in
    none of these."""
    if error is None:
        return sentence("no answer")
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code & 0xFF in _SQLITE:
        return _SQLITE[code & 0xFF]
    known = _POSTGRES.get(getattr(error, "sqlstate", None) or "")
    if known:
        return known
    said = str(error)
    found = (words for text, words in _TEXTS if re.search(text, said, re.IGNORECASE))
    return next(found, (said.splitlines() or [sentence("no answer")])[0])


# --- errors of opening it ------------------------------------------------------------------


def not_opened(failure: LedgerAway) -> WatcherError:
    return WatcherError(
        sentence("cannot open the ledger: %(reason)s", reason=failure.reason),
        next_step=failure.next_step
        or sentence("check WATCHER_DATABASE_URL and that the database runs"),
        exit_code=ExitCode.UNAVAILABLE,
    )


def no_database(what: str) -> UserError:
    return UserError(
        what,
        next_step=sentence("e.g. postgresql+psycopg://watcher@127.0.0.1/watcher"),
    )


def none_yet(place: str) -> WatcherError:
    return WatcherError(
        sentence("there is no ledger yet in %(place)s", place=place),
        next_step=sentence(
            "`watcher up` makes one, and so do `watcher init` and, in a PostgreSQL, `watcher web`; "
            "if there was one, put it or its backup back first"
        ),
        exit_code=ExitCode.UNAVAILABLE,
    )


def newer(revision: str) -> UserError:
    return UserError(
        sentence(
            "the ledger was written by a newer Watcher (revision %(revision)s)", revision=revision
        ),
        next_step=sentence("install that version again, or restore a backup of the ledger"),
    )
