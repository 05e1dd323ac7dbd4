"""Lines for systemd's journal: each begins with its priority, so that ``journalctl -p warning``
finds warnings. The journal takes the mark away (sd-daemon(3)).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import TextIO

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_LEVEL = re.compile(rb'"level": "(\w+)"')


def is_read_by_it(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to the stream goes to the journal: systemd names device and inode of
    the socket in ``JOURNAL_STREAM`` (systemd.exec(5)), which a process also inherits whose output
    was sent elsewhere."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False  # closed, or no file
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


class Marked(logging.Formatter):
    """As another formatter has it, with the priority before each line."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        mark = _mark(record.levelno)
        lines = self._inner.format(record).splitlines() or [""]
        return "\n".join(f"{mark}{line}" for line in lines)


def marked(line: bytes) -> bytes:
    """A line of JSON that another process has logged, with its priority."""
    found = _LEVEL.search(line)
    name = found[1].decode().upper() if found else ""
    return _mark(logging.getLevelNamesMapping().get(name, logging.INFO)).encode() + line


def _mark(level: int) -> str:
    number = next((n for least, n in _PRIORITIES if level >= least), _DEBUG)
    return f"<{number}>"
