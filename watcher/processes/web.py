"""The web process: gunicorn serves the Flask app of ``handlers``."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from watcher.handlers.app import create_app
from watcher.handlers.context import missed_of
from watcher.jobs import pulse
from watcher.ledger import presence
from watcher.processes.children import die_with_parent
from watcher.services import Ledger, build
from watcher.settings import Settings
from watcher.telemetry import log as logs

THREADS = 8


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line. Services are made after its fork."""

    def __init__(self, settings: Settings, address: str, options: dict[str, Any]) -> None:
        self._settings, self._address = settings, address
        self._beats: pulse.Pulse | None = None
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)
        self.cfg.set("worker_exit", self._ended)

    def _ended(self, _server: object, _worker: object) -> None:
        if self._beats is not None:
            self._beats.end()

    def load(self) -> Flask:
        die_with_parent()
        logs.configure(self._settings.log_format)
        services = build(self._settings, ledger=Ledger.AS_IT_IS)
        app = create_app(services)
        missed_of(app).begin()  # the port is open by now: gunicorn binds before it loads
        me = pulse.myself(presence.WEB, self._address)
        self._beats = pulse.Pulse(services, me, lambda: pulse.silent(self._address))
        self._beats.begin()
        return app


def serve(settings: Settings, host: str, port: int) -> int:
    """Serve until SIGTERM. One process with threads: the load is a few notifications a second."""
    logs.configure(settings.log_format)
    # A PostgreSQL is made by its admin, so that an empty one is a new one; an SQLite file that is
    # not there may have been deleted.
    is_file = settings.ledger_url.startswith("sqlite")
    build(settings, ledger=Ledger.CHECKED if is_file else Ledger.MADE).db.dispose()
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _Server(
        settings,
        pulse.listening_at(host, port),
        {
            "bind": listen,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 75,
            "limit_request_line": 4094,
            "limit_request_field_size": 8190,
            "limit_request_fields": 100,
            "loglevel": "warning",
            "proc_name": "watcher-web",
            "control_socket_disable": True,
        },
    ).run()
    return 0
