"""The outcome of a list of actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from watcher.erpnext.refusals import Refused
from watcher.erpnext.sorting import Sorted
from watcher.events.model import Action


@dataclass(kw_only=True, slots=True)
class Applied:
    """The outcome of a list of actions. ``kept`` counts what was not written, by reason; a row
    that was written but could not be shared is both counted as written and ``refused``.
    ``renewed`` counts rows that were made anew, so that their history goes; ``answered_late``
    counts writes that were answered with an error and had been done all the same."""

    created: int = 0
    updated: int = 0
    revived: int = 0
    cancelled: int = 0
    deleted: int = 0
    renewed: int = 0
    answered_late: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)

    @classmethod
    def as_planned(cls, actions: Iterable[Action]) -> Applied:
        """The outcome of actions that make, rewrite or keep rows, where nothing was refused."""
        todo = Sorted.of(actions)
        revived = sum(update.revive for update in todo.updates)
        return cls(
            created=len(todo.creates),
            updated=len(todo.updates) - revived,
            revived=revived,
            kept=Counter(keep.reason for keep in todo.keeps),
        )

    @property
    def wrote(self) -> bool:
        """Whether ERPNext has accepted any write."""
        return any(
            (self.created, self.updated, self.revived, self.cancelled, self.deleted, self.renewed)
        )

    @property
    def unchanged(self) -> int:
        return self.kept["unchanged"]

    @property
    def skipped(self) -> Counter[str]:
        """Rows that were not written although they differ, counted by reason."""
        return Counter({why: count for why, count in self.kept.items() if why != "unchanged"})
