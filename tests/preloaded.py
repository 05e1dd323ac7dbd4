"""What the fork server of ``tests/forked.py`` imports once, and each program it forks has already:
every command, with its rooms, which otherwise wait until a command runs."""

from __future__ import annotations

from watcher.cli import cli, later

cli.complete()
later.load()
