"""The stand-in cleans text as well, and as badly, as Frappe 15.43 and 16.4.1 do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.sandbox_erpnext import integration
from watcher_sandbox.erpnext.sanitise import sanitise

RECORDED = Path(__file__).parent.parent / "recordings-desk" / "sanitiser.json"
TEXTS = json.loads(RECORDED.read_text())["texts"]
WALKED_ROUND = (
    '"<img src=x onerror=alert(1)>"',
    '["<svg onload=alert(1)>"]',
    '{"a":"<script>x</script>"}',
    "<img src=x onerror=alert(1)",
)


@pytest.mark.parametrize("frappe", [15, 16])
def test_texts_are_stored_as_the_real_site_stored_them(frappe: int) -> None:
    wrong = [
        (text["sent"], text[str(frappe)], found)
        for text in TEXTS
        if (found := sanitise(text["sent"], frappe)) != text[str(frappe)]
    ]
    assert wrong == []
    assert len(TEXTS) == 57


@pytest.mark.parametrize("frappe", [15, 16])
@pytest.mark.parametrize("text", WALKED_ROUND)
def test_some_texts_walk_round_it(frappe: int, text: str) -> None:
    with integration(frappe=frappe) as person:
        name = person.event(subject=text, description=text)
        row = person.read("Event", name)
        assert (row["subject"], row["description"]) == (text, text)


def test_comments_are_cleaned_in_any_case() -> None:
    with integration(frappe=16) as person:
        row = person.make("Comment", comment_type="Comment", content='"<img src=x onerror=x()>"')
        assert row["content"] == '"<img src="x">"'
