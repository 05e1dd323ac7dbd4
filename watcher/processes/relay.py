"""What children write goes on to this process's stderr, so that each line of the log is JSON: what
Valkey, or a library, writes in its own way is wrapped. A child does not know of systemd's journal
behind its pipe, so that the priorities of its lines are put before them here.

It is done between other things, by the one thread that a process has which forks. So nothing here
waits for a reader of the log that has stopped reading: the children's pipes are not read either
until it goes on.
"""

from __future__ import annotations

import logging
import os
import select
import sys

from watcher.telemetry import journal

log = logging.getLogger(__name__)

_STDERR = 2
_PIECE = select.PIPE_BUF
"""So many bytes are taken at once, without a wait, by a pipe that takes any."""
_LONGEST = 1_000_000
"""A line that is longer is passed on in pieces."""


class Relay:
    """The pipes of all children."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._begun: dict[int, bytes] = {}
        self._out = bytearray()
        self._for_journal = journal.is_read_by_it(sys.stderr)

    def add(self, pipe: int, name: str) -> None:
        """From now on read what the child ``name`` writes into ``pipe``."""
        os.set_blocking(pipe, False)
        self._names[pipe], self._begun[pipe] = name, b""

    def close(self) -> None:
        """Close every pipe."""
        for pipe in self._names:
            os.close(pipe)
        self._names.clear()

    def turn(self, seconds: float, *wakes: int) -> None:
        """Pass on what comes in, up to so many ``seconds``. ``wakes`` are pipes that end the wait
        when they can be read; that is left to the caller."""
        reading = [*wakes] if self._out else [*wakes, *self._names]
        ready, _, _ = select.select(reading, [_STDERR] if self._out else [], [], seconds)
        for pipe in self._names.keys() & ready:
            self._read(pipe)
        self._write()

    def _read(self, pipe: int) -> None:
        piece = os.read(pipe, 65_536)
        *lines, rest = (self._begun[pipe] + piece).split(b"\n")
        if not piece or len(rest) > _LONGEST:
            lines, rest = [*lines, rest], b""
        self._begun[pipe] = rest
        for line in lines:
            self._pass_on(self._names[pipe], line)
        if not piece:
            os.close(pipe)
            del self._names[pipe], self._begun[pipe]

    def _pass_on(self, name: str, line: bytes) -> None:
        if line.startswith(b"{"):
            self._out += (journal.marked(line) if self._for_journal else line) + b"\n"
        elif text := line.decode(errors="replace").strip():
            self._write()
            log.warning("%s: %s", name, text)

    def _write(self) -> None:
        try:
            while self._out and select.select([], [_STDERR], [], 0)[1]:
                del self._out[: os.write(_STDERR, self._out[:_PIECE])]
        except OSError:
            # Whoever read our messages is gone. The children must not notice: a full pipe would
            # stop them.
            self._out.clear()
