"""The catalogs are whole: what the code says is translated, and it is compiled."""

from __future__ import annotations

import re

import pytest
from babel.messages.catalog import Catalog

from tests import catalogs
from watcher.languages.catalogs import known, words

PLACEHOLDER = re.compile(r"%\(\w+\)s|<[^>]+>")


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


SPOKEN = (
    "connect.html",
    "connected.html",
    "leave.html",
    "me.html",
    "me_calendars.html",
    "me_sign_in.html",
    "message.html",
    "next_event.html",
    "what_is_shown.html",
)
MARKED = re.compile(r"{% trans.*?endtrans %}|{#.*?#}|{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)


@pytest.mark.parametrize("name", SPOKEN)
def test_no_word_of_an_employees_page_is_left_unmarked(name: str) -> None:
    text = (catalogs.PACKAGE / "handlers" / "templates" / name).read_text(encoding="utf-8")
    left = set(re.findall(r"[^\W\d_]+", MARKED.sub(" ", text)))
    assert left <= {"Watcher"}, name


def test_a_code_asks_for_one_of_the_languages_or_for_none() -> None:
    asked = ("de", "de-AT", "es_MX", "hi", "EN-gb", "fr", "", None)
    assert [known(each) for each in asked] == ["de", "de", "es", "hi", "en", "", "", ""]
    assert words("de")("My connection") == "Meine Verbindung"
    assert words("")("My connection") == words("en")("My connection") == "My connection"
