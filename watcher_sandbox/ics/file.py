"""From the bytes of an export to its calendars. Each component is kept apart, so that a broken one
spoils no other."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_TOP = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY", "VTIMEZONE"})
_FOLD = re.compile(rb"(?:\r*\n|\r)[ \t]")
_NEWLINE = re.compile(rb"\r*\n|\r")
_TIMES = "DTSTART|DTEND|RECURRENCE-ID|EXDATE|RDATE"
_EMPTY = re.compile(r"^(EXDATE|RDATE|DTEND|DURATION)(;[^:]*)?:\s*$", re.IGNORECASE)
_ZONED = re.compile(
    rf'^(?P<name>{_TIMES})(?P<before>(?:;[^:";]*)*?);TZID=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^";]*?))'
    r"(?P<after>(?:;[^:]*)?):\s*(?P<value>[0-9TZ,/PDWHMS+-]+)\s*$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Block:
    """One component of a VCALENDAR, as lines. ``whole``: its END was found."""

    name: str
    lines: list[str]
    whole: bool = False

    @property
    def text(self) -> str:
        return "\r\n".join([*self.lines, ""])

    @property
    def title(self) -> str:
        summaries = (line.partition(":") for line in self.lines if line[:7].upper() == "SUMMARY")
        return next((text for _, _, text in summaries), "")


@dataclass(slots=True)
class Source:
    """One VCALENDAR: its own properties by name, and its components."""

    properties: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def named(self, name: str) -> list[Block]:
        return [block for block in self.blocks if block.name == name]


def read(path: Path) -> list[Source]:
    """The file's calendars. Raises ``ValueError`` when it is no iCalendar."""
    data = path.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is no calendar export (.ics) but a ZIP: unpack it first")
    splitter = _Splitter()
    for line in _lines(data):
        splitter.take(line)
    if not splitter.sources:
        raise ValueError(f"{path} is no calendar export (.ics)")
    return splitter.sources


def _lines(data: bytes) -> Iterator[str]:
    """Unfolded before they are decoded: a fold may lie inside a character."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    for line in _NEWLINE.split(_FOLD.sub(b"", data.removeprefix(codecs.BOM_UTF8))):
        if line.strip():
            yield _decoded(line)


def _decoded(line: bytes) -> str:
    """Old Outlooks write in the code page of their Windows."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


class _Splitter:
    """Takes line after line; ``sources`` is what was found so far."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self._open = False
        self._block: Block | None = None
        self._inner: list[str] = []

    def take(self, line: str) -> None:
        word, _, value = line.partition(":")
        name = value.strip().upper()
        if word.strip().upper() == "BEGIN":
            self._begin(name, line)
        elif word.strip().upper() == "END":
            self._end(name, line)
        elif self._block is not None:
            self._keep(_mended(line))
        elif self._open:
            self.sources[-1].properties.setdefault(word.partition(";")[0].upper(), value.strip())

    def _begin(self, name: str, line: str) -> None:
        if name == "VCALENDAR":
            self._new_source()
        elif self._block is None or name in _TOP:
            if name not in _TOP and not self._open:
                return
            if not self._open:
                self._new_source()
            self._block, self._inner = Block(name, [line.strip()]), []
            self.sources[-1].blocks.append(self._block)
        else:
            self._inner.append(name)
            self._keep(line.strip())

    def _end(self, name: str, line: str) -> None:
        if name == "VCALENDAR":
            self._block, self._open = None, False
        elif self._block is not None and name == self._block.name:
            self._block.lines.append(line.strip())
            self._block.whole, self._block = True, None
        elif self._block is not None and name in self._inner:
            self._keep(line.strip())
            del self._inner[self._inner.index(name) :]

    def _keep(self, line: str) -> None:
        """Components inside an event, such as alarms, are skipped."""
        if self._block is not None and (self._block.name == "VTIMEZONE" or not self._inner):
            self._block.lines.append(line)

    def _new_source(self) -> None:
        self.sources.append(Source())
        self._open, self._block = True, None


def _mended(line: str) -> str:
    """TZID becomes X-TZID, in quotes: icalendar would look it up in zones of all files at once,
    and cuts a bare ``UTC+05:30`` at its colon. An empty list of times is left away."""
    if _EMPTY.match(line):
        return "X-EMPTY:"
    found = _ZONED.match(line)
    if found is None:
        return line
    name, value = found["name"], found["value"]
    rest = f"{found['before']}{found['after']}"
    if value.upper().endswith("Z"):  # UTC, whatever zone is named beside it
        return f"{name}{rest}:{value}"
    zone = found["quoted"] if found["quoted"] is not None else found["bare"]
    return f'{name}{rest};X-TZID="{zone.strip()}":{value}'
