"""What became of a calendar export, for the person to whom it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_SHOWN = 3
_WIDTH = 40


@dataclass(slots=True)
class Report:
    """Titles by reason: events that are not in Google, and events that were guessed at."""

    loaded: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        return sum(map(len, self.left_out.values()))

    def leave_out(self, reason: str, title: str) -> None:
        self.left_out.setdefault(reason, []).append(title)

    def note(self, text: str, title: str) -> None:
        self.notes.setdefault(text, []).append(title)

    def lines(self, name: str) -> Iterator[str]:
        """For a terminal: the counts, each reason, the first titles."""
        if not self.loaded and not self.missing:
            yield f"{name}: there are no events in it"
            return
        word = "event" if self.loaded == 1 else "events"
        yield f"{name}: {self.loaded} {word} loaded, {self.missing} left out"
        yield from _listed("left out", self.left_out)
        yield from _listed("note", self.notes)


def _listed(word: str, found: dict[str, list[str]]) -> Iterator[str]:
    for reason, titles in sorted(found.items(), key=lambda pair: -len(pair[1])):
        shown = [f'"{_short(title)}"' for title in titles if title][:_SHOWN]
        rest = len(titles) - len(shown)
        more = f" and {rest} more" if rest else ""
        yield f"  {word}: {len(titles)} x {_clean(reason)}" + (
            f": {', '.join(shown)}{more}" if shown else ""
        )


def _short(title: str) -> str:
    text = _clean(title)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _clean(text: str) -> str:
    """A file's words on a terminal: no control characters, one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
