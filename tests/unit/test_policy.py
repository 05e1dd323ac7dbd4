"""What makes every calendar be listed anew, and what does not."""

from __future__ import annotations

from tests.unit.events.build import rules
from watcher.events.model import Masks
from watcher.settings import Settings
from watcher.sync.policy import policy_fingerprint

SETTINGS = Settings(erpnext_url="https://erp.example.com")
BY_AN_EARLIER_VERSION = "9ab564b131d27e1efa5d3cdfab513918eaac2ab35c943760cd76235a3eb8f668"


def test_an_update_of_watcher_lists_no_site_anew() -> None:
    assert policy_fingerprint(SETTINGS, rules()) == BY_AN_EARLIER_VERSION
    assert policy_fingerprint(SETTINGS, rules(masks=Masks("Busy", "Private"))) == (
        BY_AN_EARLIER_VERSION
    )


def test_another_title_of_private_events_does() -> None:
    each = [
        policy_fingerprint(SETTINGS, rules(masks=masks))
        for masks in (
            Masks(),
            Masks("Besetzt"),
            Masks(free="Besetzt"),
            Masks("Private", "Busy"),
            Masks("Besetzt", "Busy"),
        )
    ]
    assert len(set(each)) == len(each)
    former = Masks("Besetzt", former=frozenset({"Beschäftigt"}))
    assert policy_fingerprint(SETTINGS, rules(masks=former)) == each[1]
