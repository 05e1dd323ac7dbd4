"""A sentence remembers what it was made of, and is said in the language of who reads it."""

from __future__ import annotations

import copy
import gettext
import json
import pickle
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.engine.default import DefaultDialect as Dialect

from watcher.languages import catalogs
from watcher.languages.moments import Moment
from watcher.languages.saying import say
from watcher.languages.sentence import Given, Sentence, Value, coded, unended
from watcher.ledger.columns import SentenceText

ONE, MANY = "%(n)s calendar of %(who)s", "%(n)s calendars of %(who)s"
WHY, BECAUSE = "DNS knows no address", "%(what)s: %(why)s"


class German(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return {WHY: "DNS kennt keine Adresse", BECAUSE: "%(why)s (%(what)s)"}.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        assert (msgid1, msgid2) == (ONE, MANY)
        return "%(n)s Kalender von %(who)s"


@pytest.fixture(autouse=True)
def _german(monkeypatch: pytest.MonkeyPatch) -> None:
    english = gettext.NullTranslations()
    monkeypatch.setattr(catalogs, "messages", lambda code: english if code == "en" else German())


def test_it_is_an_english_text_everywhere_else() -> None:
    text = Sentence.of(BECAUSE, {"what": "ann@example.com", "why": Sentence.of(WHY, {})})
    assert text == "ann@example.com: DNS knows no address"
    assert json.dumps([text]) == '["ann@example.com: DNS knows no address"]'
    assert say(text, "en") == say(text, "") == text


def test_it_is_said_with_the_sentences_in_it() -> None:
    text = Sentence.of(BECAUSE, {"what": "ann@example.com", "why": Sentence.of(WHY, {})})
    for each in (text, copy.deepcopy(text), pickle.loads(pickle.dumps(text))):  # noqa: S301
        assert say(each, "de") == "DNS kennt keine Adresse (ann@example.com)"
    strange = Sentence.of(BECAUSE, {"what": "100 %", "why": "Zeile 3"})
    assert say(strange, "de") == "Zeile 3 (100 %)"


def test_what_is_counted_has_the_form_and_the_figures_of_the_language() -> None:
    assert Sentence.of(ONE, {"n": 1, "who": "Ann"}, MANY) == "1 calendar of Ann"
    many = Sentence.of(ONE, {"n": 12_345, "who": "Ann"}, MANY)
    assert many == "12,345 calendars of Ann"
    assert say(many, "de") == "12.345 Kalender von Ann"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1_234_567, ("1,234,567", "1.234.567", "12,34,567")),
        (-999, ("-999", "-999", "-999")),
        (20_000.04, ("20,000.0", "20.000,0", "20,000.0")),
        (date(2026, 12, 1), ("2026-12-01", "01.12.2026", "01/12/2026")),
        (
            datetime(2026, 2, 1, 4, 5, tzinfo=UTC),
            ("2026-02-01 04:05 UTC", "01.02.2026, 04:05 UTC", "01/02/2026, 04:05 UTC"),
        ),
        ("1234", ("1234", "1234", "1234")),
    ],
)
def test_numbers_and_dates_are_written_as_the_language_does(
    value: Value, said: tuple[str, ...]
) -> None:
    text = Sentence.of("%(value)s", {"value": value})
    assert (str(text), say(text, "de"), say(text, "hi")) == said
    kept = Sentence.from_kept(json.loads(json.dumps(text.as_kept())))
    assert (kept, dict(kept.values)) == (text, dict(text.values))


def test_words_of_others_stay_although_the_language_has_words_for_the_same() -> None:
    text = Sentence.of(BECAUSE, {"what": Given(WHY), "why": Sentence.of(WHY, {})})
    assert say(text, "de") == f"DNS kennt keine Adresse ({WHY})"


def test_a_moment_is_written_by_who_knows_the_language() -> None:
    at = datetime(2026, 12, 1, 14, 30, 5, tzinfo=UTC)
    whole, day = Moment.of(at, "second"), Moment.of(at.date(), "day")
    text = Sentence.of(BECAUSE, {"what": whole, "why": day})
    assert text == "Tue 2026-12-01 14:30:05: Tue 2026-12-01"
    assert say(text, "de") == "Tue 2026-12-01 (Tue 2026-12-01 14:30:05)"
    assert say(text, "de", lambda moment, code: f"{code} {moment.at:%d.%m.}") == (
        "de 01.12. (de 01.12.)"
    )


def test_a_name_that_programs_read_has_words_on_pages_in_english_too() -> None:
    name = coded("dns", WHY)
    assert (str(name), say(name, "en"), say(name, "de")) == ("dns", WHY, "DNS kennt keine Adresse")
    day = Moment.of(date(2026, 12, 1), "day")
    within = Sentence.of(MANY, {"n": 2, "who": Sentence.of(BECAUSE, {"what": day, "why": name})})
    assert within == "2 calendars of Tue 2026-12-01: dns"
    assert say(within, "en", lambda *_: "another") == f"2 calendars of Tue 2026-12-01: {WHY}"


@pytest.mark.parametrize(
    ("text", "shortened"),
    [
        ("Refused by others.", "Refused by others"),
        (Sentence.of(WHY, {}), WHY),
        (Sentence.of(BECAUSE, {"what": "a.", "why": "Refused."}), "a.: Refused"),
        (Sentence.of("%(n)s: %(why)s", {"n": 2, "why": "Refused."}), "2: Refused"),
        (coded("dns", WHY), "dns"),
    ],
)
def test_the_full_stop_of_others_is_taken_away_and_the_rest_remembered(
    text: str, shortened: str
) -> None:
    assert unended(text) == shortened
    assert isinstance(unended(text), Sentence) == isinstance(text, Sentence)


def test_a_plain_text_is_looked_up_and_else_stays() -> None:
    assert say(WHY, "de") == "DNS kennt keine Adresse"
    assert say("Could not find Row #1: 50 % off", "de") == "Could not find Row #1: 50 % off"
    assert say("", "de") == ""


def test_the_ledger_keeps_what_it_was_made_of_behind_its_english() -> None:
    column, sqlite = SentenceText(), Dialect()
    text = Sentence.of(
        BECAUSE, {"what": "50", "why": Sentence.of(ONE, {"n": 2, "who": "Ann"}, MANY)}
    )
    kept = column.process_bind_param(text, sqlite)
    assert kept is not None
    assert kept.startswith("50: 2 calendars of Ann"), "a cause can be looked for at its beginning"
    read = column.process_result_value(kept, sqlite)
    assert read == text
    assert say(read or "", "de") == "2 Kalender von Ann (50)"
    for plain in ("no address", "", Sentence.of(WHY, {})):
        assert column.process_bind_param(plain, sqlite) == plain
        assert column.process_result_value(plain, sqlite) == plain
    assert column.process_bind_param("a\x1f[1]", sqlite) == "a [1]"
