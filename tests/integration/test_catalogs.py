"""The catalogs are whole: what the code says is translated, and it is compiled."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from tests import catalogs
from watcher.doctor.say import Verdict
from watcher.errors import LATER, Cause, why_unreached
from watcher.google.errors import classify
from watcher.languages import acts, names, saying
from watcher.languages.catalogs import known, words
from watcher.ledger import runs
from watcher.ledger.acts import What
from watcher.ledger.problems import ProblemState
from watcher.ledger.states import AccountState, CalendarStatus
from watcher.ledger.steps import STEPS

PLACEHOLDER = re.compile(r"%\(\w+\)s|<[^>]+>|\{\d\}")


@pytest.fixture(scope="module")
def code() -> Catalog:
    return catalogs.in_code()


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_every_sentence_is_translated_and_compiled(code: Catalog, language: str) -> None:
    kept = catalogs.kept(language)
    hint = "make messages, and translate what it names"
    assert {m.id for m in kept} == {m.id for m in code}, hint
    assert not [m.id for m in catalogs.missing(kept)], hint
    text = catalogs.path_of(language, "po").read_text(encoding="utf-8")
    assert text == catalogs.as_po(kept), "make messages"
    assert catalogs.compiled(language) == catalogs.flat(kept), "make messages"


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_what_is_put_into_a_sentence_and_its_links_are_in_each_translation(language: str) -> None:
    for message in filter(lambda each: each.id, catalogs.kept(language)):
        wanted = [sorted(PLACEHOLDER.findall(text)) for text in catalogs.ids(message)]
        for text in catalogs.said(message):
            assert sorted(PLACEHOLDER.findall(text)) in wanted, message.id
            assert not re.search(r"[\u0900-\u097f]", text) or language == "hi"


FAMILIAR = {
    "de": r"\b(?:du|dich|dir|dein\w*|ihr habt|euch|euer|eure\w*)\b",
    "es": r"\b(?:vosotros|vuestr\w+|\w+[áé]is|sois)\b",
    "hi": r"तुम|तेरा|तेरी",
}
"""What CONTRIBUTING.md, *Say something to people*, leaves out, in each language."""


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_readers_are_addressed_as_agreed(language: str) -> None:
    said = [text for each in catalogs.kept(language) if each.id for text in catalogs.said(each)]
    assert not [text for text in said if re.search(FAMILIAR[language], text)]


TEMPLATES = catalogs.PACKAGE / "handlers" / "templates"
MARKED = re.compile(r"{% trans.*?endtrans %}|{#.*?#}|{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_word_of_a_page_is_left_unmarked(path: Path) -> None:
    text = re.sub(r"<code>[^{]*?</code>", " ", path.read_text(encoding="utf-8"))
    left = set(re.findall(r"[^\W\d_]+", MARKED.sub(" ", text)))
    assert left <= {"Watcher", "ERPNext"}


@pytest.mark.parametrize(
    "kinds",
    [AccountState, CalendarStatus, ProblemState, Cause, Verdict],
    ids=lambda each: each.__name__,
)
def test_every_state_and_cause_has_a_name(kinds: type[StrEnum]) -> None:
    assert {str(each) for each in kinds} <= set(names.NAMES)


def test_a_code_asks_for_one_of_the_languages_or_for_none() -> None:
    asked = ("de", "de-AT", "es_MX", "hi", "EN-gb", "fr", "", None)
    assert [known(each) for each in asked] == ["de", "de", "es", "hi", "en", "", "", ""]
    assert words("de")("My connection") == "Meine Verbindung"
    assert words("")("My connection") == words("en")("My connection") == "My connection"


def test_each_cause_and_each_step_has_words_in_each_language() -> None:
    """A cause that is added, or a step, is not forgotten."""
    known = {*Cause, *ProblemState, *AccountState, *CalendarStatus}
    assert known <= set(names.NAMES)
    steps = [step for step in STEPS.values() if not step.startswith("watcher ")]
    for language in catalogs.TRANSLATED:
        said = [saying.say(step, language) for step in steps]
        assert not set(said) & set(map(str, steps)), language
        for english in (*LATER.values(), why_unreached(TimeoutError())):
            assert saying.say(english, language) != english


def test_each_act_of_the_audit_trail_has_words() -> None:
    assert set(acts.ACTS) == set(What)


def test_a_stored_failure_is_told_in_german_with_its_causes_in_it() -> None:
    asked = "Google answered 403 forbidden when asked for what has changed: Not yours"
    answer = b'{"error": {"errors": [{"reason": "forbidden"}], "message": "Not yours"}}'
    message = classify(403, answer, "delta").error.message
    assert message == asked
    assert saying.say(runs.why(runs.failure("forbidden", message)), "de") == (
        "Google hat auf die Frage nach den Änderungen mit 403 forbidden geantwortet: Not yours"
    )
