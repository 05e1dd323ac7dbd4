"""The actions of a plan by what has to be done in ERPNext. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from watcher.events import model


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """The actions of one plan by kind, each kind in the order of the plan."""

    creates: list[model.ErpEvent] = field(default_factory=list)
    updates: list[model.Update] = field(default_factory=list)
    cancels: list[model.Cancel] = field(default_factory=list)
    rewrites: list[model.Rewrite] = field(default_factory=list)
    discards: list[model.Discard] = field(default_factory=list)
    keeps: list[model.Keep] = field(default_factory=list)

    @classmethod
    def of(cls, actions: Iterable[model.Action]) -> Sorted:
        found = cls()
        for action in actions:
            match action:
                case model.Create(event=event):
                    found.creates.append(event)
                case model.Update():
                    found.updates.append(action)
                case model.Cancel():
                    found.cancels.append(action)
                case model.Rewrite():
                    found.rewrites.append(action)
                case model.Discard():
                    found.discards.append(action)
                case model.Keep():
                    found.keeps.append(action)
        return found
