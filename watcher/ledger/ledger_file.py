"""The file of an SQLite ledger: who makes it, and that it is still the one that was opened.

A process that is not to make a ledger must not, by opening one, make an empty one in the place of a
file that somebody has deleted or moved: all would look well, and nothing would be mirrored.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from watcher import errors
from watcher.given.files import as_owner, may

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_RESTORE = errors.sentence(
    "stop Watcher, put a backup of the ledger in its place, and start it again"
)


class LedgerFile:
    """One process's view of the file. ``uri`` opens it and never makes it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.uri = f"file:{quote(str(self.path))}?mode=rw"
        self._opened: tuple[int, int] | None = None

    def make(self) -> None:
        """An empty file, readable by nobody else, unless there is one already."""
        private_folder(self.path.parent)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def require(self) -> None:
        """Raises ``WatcherError`` when there is no file, or it is not for this user."""
        if not is_allowed(self.path):
            raise errors.WatcherError(
                errors.sentence(
                    "the ledger %(path)s is not for this user to open", path=str(self.path)
                ),
                next_step=as_owner(self.path),
            )
        if not self.path.exists():
            raise errors.WatcherError(
                errors.sentence("there is no ledger at %(path)s", path=str(self.path)),
                next_step=errors.sentence(
                    "`watcher up` makes a new one, and so does `watcher init`; if there was one, "
                    "put it or its backup back first"
                ),
                exit_code=errors.ExitCode.UNAVAILABLE,
            )

    def check(self) -> None:
        """Raises ``LedgerAway`` when the file is gone, or is another one than was opened first."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            said = errors.sentence("the ledger's file %(path)s is gone", path=str(self.path))
            raise errors.LedgerAway(said, next_step=_RESTORE) from None
        except OSError:
            return  # opening it says what is wrong
        now = (found.st_dev, found.st_ino)
        if self._opened is None:
            self._opened = now
        elif now != self._opened:
            raise errors.LedgerAway(
                errors.sentence(
                    "the ledger's file %(path)s was replaced while Watcher runs",
                    path=str(self.path),
                ),
                next_step=errors.sentence("restart Watcher"),
            )


def is_allowed(path: Path) -> bool:
    """Whether this user may open another's file for reading and writing. What is wrong with a file
    of his own, such as a disk that is mounted for reading, is found by opening it."""
    try:
        owner = path.stat().st_uid
    except PermissionError:
        return False
    except OSError:
        return True
    return owner == os.geteuid() or may(path, os.R_OK | os.W_OK)


def private_folder(folder: Path) -> None:
    """Make a folder that is not there, and those above it, for this user alone."""
    if folder.is_dir():
        return
    private_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)


def private_opener(path: str, flags: int) -> int:
    """For ``open(..., opener=private_opener)``: a file that is made is this user's alone."""
    return os.open(path, flags, 0o600)


def damage(error: BaseException | None) -> str:
    """What is wrong with the file itself, in SQLite's words; "" when it is not the file."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.DatabaseError) or code is None:
        return ""
    return str(error) if code & 0xFF in _DAMAGED else ""


def damaged(path: Path, words: str) -> errors.LedgerAway:
    return errors.LedgerAway(
        errors.sentence(
            "the ledger's file %(path)s is damaged or is no ledger (%(words)s)",
            path=str(path),
            words=words,
        ),
        next_step=_RESTORE,
    )
