"""What was asked for, read from what people paste and type."""

from __future__ import annotations

import base64
from datetime import date

import pytest

from watcher.errors import UserError
from watcher.explain.question import ByEvent, ByName, ByPerson, read

TODAY = date(2026, 12, 1)
ANN = "ann@example.com"


def eid(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("calendar", "whole"),
    [
        (ANN, ANN),
        ("c_12ab@g", "c_12ab@group.calendar.google.com"),
        ("ann@m", "ann@gmail.com"),
    ],
)
@pytest.mark.parametrize(
    "link",
    [
        "https://www.google.com/calendar/event?eid={}&ctz=Asia/Kolkata",
        "https://calendar.google.com/calendar/u/0/r/eventedit/{}?tab=mc",
        "https://calendar.google.com/calendar/event?action=TEMPLATE&tmeid={}&tmsrc=ann",
    ],
)
def test_a_link_of_google(link: str, calendar: str, whole: str) -> None:
    found = read(link.format(eid(f"abc123_20261201T033000Z {calendar}")), TODAY)
    assert isinstance(found, ByEvent)
    assert (found.event_id, found.calendar_id) == ("abc123_20261201T033000Z", whole)


def test_ids_and_names() -> None:
    assert read("ev00042", TODAY) == ByName(name="EV00042")
    assert read("ann@scoopjoy.test EV00042", TODAY) == ByName(name="EV00042")
    for desk in ("app/event/EV00042", "desk/event/EV00042?x=1", "app/event/EV%300042/"):
        assert read(f"https://erp.example.com/{desk}", TODAY) == ByName(name="EV00042")
    assert read("abc123", TODAY) == ByEvent(text="abc123", event_id="abc123")
    uid = read("abc123@google.com", TODAY)
    assert isinstance(uid, ByEvent)
    assert uid.event_id == "abc123"


@pytest.mark.parametrize(
    ("text", "words", "day"),
    [
        ("stand-up", ("stand-up",), None),
        ("Stand up 2026-12-03", ("Stand", "up"), date(2026, 12, 3)),
        ("tomorrow", (), date(2026, 12, 2)),
        ("3 dec Stand up", ("Stand", "up"), date(2026, 12, 3)),
        ("5 January", (), date(2027, 1, 5)),
        ("Nov 20", (), date(2026, 11, 20)),
        ("03.12.2026", (), date(2026, 12, 3)),
        ("Dec 3, 2026", (), date(2026, 12, 3)),
    ],
)
def test_an_employee_with_words_or_a_date(
    text: str, words: tuple[str, ...], day: date | None
) -> None:
    found = read(f"Ann@example.com {text}", TODAY)
    assert isinstance(found, ByPerson)
    assert (found.email, found.words) == (ANN, words)
    assert (found.day.on(TODAY) if found.day else None) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        ANN,
        "stand up",
        "https://example.com/",
        "https://erp.example.com/app/event/view/calendar/default",
        "https://www.google.com/calendar/event?eid=%",
        "§§§§§§",
        "x" * 3000,
        "2026-12-01",
        "2026-13-45",
    ],
)
def test_what_is_no_question_is_refused_with_how_to_ask(text: str) -> None:
    with pytest.raises(UserError) as refused:
        read(text, TODAY)
    assert "watcher explain" in refused.value.next_step


@pytest.mark.parametrize("text", ["2026-13-45", "31.11.2026", "stand-up 12/24/2026"])
def test_what_looks_like_a_date_and_is_none_is_no_word_of_a_title(text: str) -> None:
    with pytest.raises(UserError, match="is no date") as refused:
        read(f"{ANN} {text}", TODAY)
    assert "2026-12-31" in refused.value.next_step
    read(f"{ANN} release 1.2.3", TODAY)
    read(f"{ANN} 2026-12-31 about 31.11.2026", TODAY)
