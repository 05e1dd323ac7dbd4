"""The actions of a plan by what has to be done in ERPNext. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from watcher.events.model import (
    Action,
    Cancel,
    Create,
    Discard,
    ErpEvent,
    Keep,
    Rewrite,
    Update,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """The actions of one plan by kind, each kind in the order of the plan."""

    creates: list[ErpEvent] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    discards: list[Discard] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Sorted:
        found = cls()
        for action in actions:
            match action:
                case Create(event=event):
                    found.creates.append(event)
                case Update():
                    found.updates.append(action)
                case Cancel():
                    found.cancels.append(action)
                case Rewrite():
                    found.rewrites.append(action)
                case Discard():
                    found.discards.append(action)
                case Keep():
                    found.keeps.append(action)
        return found
