"""Which of Google's two ways to expand a series is asked, and which is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.events.build import place, rules
from watcher.sync.expansion import EXPAND_ONE_BY_ONE, expand
from watcher.sync.passes import Pass


@dataclass
class Page:
    items: list[dict[str, Any]]


@dataclass
class Google:
    """Instances by series; the listing holds those of ``listed`` and a single event."""

    known: dict[str, list[str]]
    listed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def instances(
        self, _calendar: str, master: str, _window: object
    ) -> list[dict[str, Any]] | None:
        self.asked.append(master)
        found = self.known.get(master)
        return None if found is None else [_instance(name) for name in found]

    def snapshot(self, _calendar: str, _window: object) -> Iterator[Page]:
        self.asked.append("listing")
        yield Page([{"id": "single"}])
        yield Page([_instance(name) for name in self.listed])


def _instance(name: str) -> dict[str, Any]:
    return {"id": name, "recurringEventId": name.partition("_")[0]}


def found(google: Google, masters: set[str], orphans: set[str]) -> list[str]:
    basis = SimpleNamespace(rules=rules(), window=place().window)
    p = SimpleNamespace(basis=basis, google=google, hold=lambda: None)
    items = expand(cast("Pass", p), masters, orphans)
    return [item["id"] for item in items]


def test_few_series_are_asked_for_one_by_one() -> None:
    google = Google({"a": ["a_1", "a_2"], "b": []})
    assert found(google, {"a", "b"}, set()) == ["a_1", "a_2"]
    assert google.asked == ["a", "b"]


@pytest.mark.parametrize("count", [EXPAND_ONE_BY_ONE + 1, 300])
def test_many_are_taken_from_one_listing(count: int) -> None:
    masters = {f"m{n}" for n in range(count)}
    google = Google({}, listed=["m1_1", "other_1"])
    assert found(google, masters, set()) == ["m1_1"]
    assert google.asked == ["listing"]


def test_a_series_that_google_does_not_know_is_looked_for_in_the_listing() -> None:
    google = Google({"a": ["a_1"]}, listed=["a_1", "b_1", "b_2"])
    assert found(google, {"a", "b"}, set()) == ["a_1", "b_1", "b_2"]
    assert google.asked == ["a", "b", "listing"]


def test_a_living_exception_of_a_series_that_is_gone_has_to_be_in_the_listing() -> None:
    """The whole series was deleted after one of its instances was moved, and the delta brings both;
    or somebody is no longer invited to the series, but still to one of its instances."""
    assert found(Google({}, listed=[]), set(), {"gone"}) == []
    assert found(Google({}, listed=["gone_3"]), set(), {"gone"}) == ["gone_3"]
