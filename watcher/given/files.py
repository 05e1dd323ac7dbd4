"""Which settings file counts, and who may read it."""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from watcher.errors import UserError, sentence

CONFIG = "WATCHER_CONFIG"
TYPED = "_WATCHER_CONFIG_TYPED"
"""Beside ``CONFIG`` in the environment: the same file, where a person has named it by --config."""
SYSTEM_FILE = Path("/etc/watcher/watcher.env")
SYSTEM_DATA = Path("/var/lib/watcher")
"""The data directory of a service whose settings are in ``SYSTEM_FILE`` and name no other one."""


_SOCKET_PATH_LIMIT = 100
"""A unix socket's path is limited to 108 bytes on Linux and 104 on macOS."""


def socket_in(data_dir: Path) -> Path:
    """Where the embedded Valkey of a data directory listens; the same for every process."""
    path = data_dir / "valkey.sock"
    if len(str(path).encode()) <= _SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"watcher-{name}.sock"


def find(env: Mapping[str, str], folder: Path) -> Path | None:
    """The first that is there: the file that ``--config`` or ``WATCHER_CONFIG`` names, ``.env`` in
    the working directory, that of the system's service.

    Raises ``UserError`` for a named file that is none, and for one that this user may not read:
    with the next one, or with none, he would work on another installation than the service.
    """
    named = env.get(CONFIG)
    if named:
        path = folder / named
        if not _is_there(path):
            how = "--config" if env.get(TYPED) == named else CONFIG
            said = sentence("%(how)s names %(path)s, which is not a file", how=how, path=str(path))
            raise UserError(said, next_step=looked(folder))
        return _readable(path)
    here = folder / ".env"
    if not _is_closed(folder) and _is_there(here):
        return _readable(here)
    if _is_there(SYSTEM_FILE):
        return _readable(SYSTEM_FILE)
    # Whether a file is there cannot be known, so that it is not passed over for nothing.
    return _readable(here) if _is_closed(folder) else None


def looked(folder: Path) -> str:
    """Where a settings file is looked for."""
    return sentence(
        "a settings file is looked for by --config, by %(variable)s, as %(here)s and as %(system)s",
        variable=CONFIG,
        here=str(folder / ".env"),
        system=str(SYSTEM_FILE),
    )


def where_to_correct(file: Path | None, folder: Path) -> str:
    """What to do about settings with problems. ``file`` is the one that was read, if any."""
    if file is not None:
        return sentence("correct them in the environment or in %(file)s", file=str(file))
    return sentence(
        "correct them in the environment or a settings file, which `watcher init` writes: "
        "%(looked)s",
        looked=looked(folder),
    )


def _is_closed(folder: Path) -> bool:
    """Whether this user may not look into a folder, such as root's own, in which root has called
    a command as the service's user."""
    try:
        return folder.is_dir() and not may(folder, os.X_OK)
    except PermissionError:
        return True  # a folder above it is closed


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return True  # its folder is closed to this user


def _readable(path: Path) -> Path:
    if not may(path, os.R_OK):
        raise UserError(
            sentence("the settings file %(path)s is not for this user to read", path=str(path)),
            next_step=as_owner(path),
        )
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the operating system refuses while a file or a folder is made is a ``UserError`` that
    says which one, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}",
            next_step=_elsewhere(path, error),
        ) from None


def _elsewhere(path: Path, error: OSError) -> str:
    """What helps where something cannot be written."""
    there = next((each for each in path.absolute().parents if each.exists()), Path("/"))
    if not there.is_dir():
        return f"name another place: {there} is a file and no folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"free the disk that {there} is on, or name another place"
    if may(there, os.W_OK | os.X_OK):
        return f"name a place outside {there}"
    return f"name a place where this user may write: {there} is none"


def may(path: Path, mode: int) -> bool:
    """Whether the user that this process runs as may use a file so (``os.R_OK``, ``os.W_OK``)."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def as_owner(path: Path) -> str:
    """What somebody does who may not read or write a file of the service's."""
    return sentence(
        "run it as the service's user: sudo -u %(user)s %(program)s ...",
        user=_reader(path),
        program=program(),
    )


def program() -> str:
    """How another user calls this program. By its whole path, since sudo looks for commands in the
    system's folders only."""
    beside = Path(sys.executable).parent / "watcher"
    return str(beside) if beside.exists() else "watcher"


def _reader(path: Path) -> str:
    """The user for whom a file was meant: that of its group, where there is one (the file of a
    service belongs to root and to the service's group), else its owner."""
    with suppress(OSError, KeyError):
        found = path.stat()
        if found.st_uid == 0 and found.st_gid != 0:
            return pwd.getpwnam(grp.getgrgid(found.st_gid).gr_name).pw_name
        return pwd.getpwuid(found.st_uid).pw_name
    return "watcher"
