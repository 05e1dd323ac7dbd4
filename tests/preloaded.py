"""What the fork server of ``tests/forked.py`` imports once, and each program it forks has already:
every command, with its rooms, which otherwise wait until a command runs."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from watcher.cli import cli, later

cli.complete()
later.load()
_loaded = sorted(sys.modules)


def tell(question: Connection[list[str], None]) -> None:
    """Send the names of all modules that were loaded here."""
    question.send(_loaded)
