"""The web process: the Flask app of ``handlers`` on a socket that may be older than the process."""

from __future__ import annotations

import socket
import sys

from watcher.handlers.app import create_app
from watcher.handlers.context import missed_of
from watcher.jobs import pulse
from watcher.ledger import presence
from watcher.processes import server, sockets
from watcher.processes.signals import stop_event
from watcher.services import Ledger, build
from watcher.settings import Settings
from watcher.telemetry import log as logs


def serve(settings: Settings, listener: socket.socket) -> int:
    """Serve until SIGTERM. One process with threads: the load is a few notifications a second."""
    logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
    # A PostgreSQL is made by its admin, so that an empty one is a new one; an SQLite file that is
    # not there may have been deleted.
    is_file = settings.ledger_url.startswith("sqlite")
    services = build(settings, ledger=Ledger.CHECKED if is_file else Ledger.MADE)
    app, address = create_app(services), pulse.listening_at(*sockets.address(listener))
    sys.setswitchinterval(server.SWITCH_SECONDS)
    made = server.make(app, listener)
    missed_of(app).begin()  # the port is open by now
    beats = pulse.Pulse(
        services, pulse.myself(presence.WEB, address), lambda: pulse.silent(address)
    )
    beats.begin()
    server.run(made, stop_event())
    beats.end()
    return 0
