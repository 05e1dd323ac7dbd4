"""A long-running process tells the ledger every 20 seconds that it runs, so that `watcher status`
can say when one is missing. A web process asks itself for a page each time, since one whose
threads all hang lives on and answers nobody."""

from __future__ import annotations

import http.client
import logging
import os
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from watcher.errors import WatcherError
from watcher.ledger import counters, presence, runs
from watcher.ledger.presence import Me
from watcher.services import Services
from watcher.telemetry.spells import Spell

log = logging.getLogger(__name__)

CHILD = "WATCHER_CHILD_NAME"
"""Set by `watcher up` for its children: the name of each, which stays over restarts."""
ANSWER_SECONDS = 5.0


def myself(kind: str, address: str = "") -> Me:
    """How this process calls itself. A worker without a supervisor has no lasting name, since
    several of them may run on one machine."""
    host = presence.this_host()
    lasting = f"{kind}:{urlsplit(address).port}" if address else kind
    name = os.environ.get(CHILD) or (f"{kind}:{os.getpid()}" if _is_worker(kind) else lasting)
    return Me(name=f"{host}:{name}"[:120], kind=kind, host=host, address=address)


def _is_worker(kind: str) -> bool:
    return kind in (presence.LIVE, presence.BACKFILL)


def listening_at(host: str, port: int) -> str:
    """The address by which this machine reaches a server that was told to listen on ``host``."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
    reached = loopback.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def silent(address: str) -> str:
    """Why a web process does not answer at its address; empty when it does."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port, timeout=ANSWER_SECONDS
    )
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except (OSError, http.client.HTTPException) as error:
        return getattr(error, "strerror", None) or type(error).__name__
    finally:
        connection.close()
    return "" if status == http.client.OK else f"it answers with {status}"


def from_here(services: Services) -> str:
    """Why a web process on this machine, which the ledger knows, does not answer; empty when each
    of them does or there is none."""
    host, now = presence.this_host(), services.clock()
    with services.db.reading() as session:
        rows = presence.of_host(session, host, presence.WEB, now)
        found = {row.name: row.address for row in rows}
    words = ((name, silent(address)) for name, address in found.items())
    return "; ".join(f"{name}: {word}" for name, word in words if word)


def write_tried(services: Services) -> str:
    """Why the ledger takes no write; empty when it has just taken one. A row is written and
    committed: on a full disk a transaction that changes nothing goes through."""
    try:
        with services.db.session() as session:
            runs.tick(session, "status", services.clock())
    except WatcherError as error:
        return error.message
    return ""


class Pulse:
    """The ticks of one process, from a thread of their own. ``look`` says what the process finds
    wrong with itself. While the ledger is away no tick is left, and nothing else suffers."""

    def __init__(self, services: Services, me: Me, look: Callable[[], str] = lambda: "") -> None:
        self._services, self._me, self._look = services, me, look
        self._over, self._spell = threading.Event(), Spell()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """The process was asked to end: say so, that nobody takes it for a failure."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(ANSWER_SECONDS + 1)  # else its last tick could come after
        self._note(lambda session, now: presence.end(session, self._me, now))

    def _run(self) -> None:
        self._note(lambda session, now: presence.begin(session, self._me, now))
        while not self._over.wait(presence.TICK_SECONDS):
            self.beat()

    def beat(self) -> None:
        """One tick."""
        error = self._look()
        self._note(lambda session, now: presence.tick(session, self._me, now, error))

    def _note(self, write: Callable[..., None]) -> None:
        try:
            counts = self._services.counts
            with counts.taken() as counted, self._services.db.session() as session:
                write(session, self._services.clock())
                counters.add(session, counted)
        except WatcherError as error:
            log.log(self._spell.failed(), "no tick was left: %s", error.message)
        else:
            self._spell.over(log, "ticks are left")
