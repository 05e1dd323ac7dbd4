"""Which troubles are told, together or alone, when again, and when no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from watcher.notices.decide import (
    ALIKE,
    Joint,
    Known,
    Trouble,
    grace,
    joined,
    rounds_due,
    usable,
    vanished,
)

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def trouble(account: str | None = "ann@example.com", cause: str = "invalid_grant") -> Trouble:
    return Trouble(
        account=account, calendar=None, state="needs_reconnect", cause=cause, text="", step="mend"
    )


def known(number: int, minutes: float = 0, **extra: object) -> Known:
    fields: dict[str, object] = {
        "id": number,
        "key": f"needs_reconnect:{number}",
        "cause": "invalid_grant",
        "seen_at": NOW + timedelta(minutes=minutes),
        "is_one_of_many": True,
    }
    return Known(**(fields | extra))  # type: ignore[arg-type]


def test_a_trouble_is_told_three_times() -> None:
    def told(**after: float) -> int:
        return rounds_due(NOW, "needs_reconnect", "invalid_grant", NOW + timedelta(**after))

    assert told(seconds=59) == 0
    assert told(seconds=60) == 1
    assert told(days=1, hours=23) == 1
    assert told(days=2, minutes=1) == 2
    assert told(days=6, hours=23) == 2
    assert told(days=7, minutes=1) == 3
    assert told(days=40) == 3


@pytest.mark.parametrize(
    ("state", "cause", "minutes"),
    [
        ("needs_reconnect", "invalid_grant", 1),
        ("failing", "missing_fields", 1),
        ("failing", "erpnext_unavailable", 15),
        ("delayed", "google_unavailable", 15),
        ("no_channel", "no_channel", 5),
        ("queue_down", "redis_unreachable", 5),
    ],
)
def test_what_may_pass_by_itself_is_given_time(state: str, cause: str, minutes: float) -> None:
    assert grace(state, cause) == timedelta(minutes=minutes)


def test_one_cause_has_one_key_whoever_shows_it() -> None:
    assert trouble("a@x.de", "missing_fields").key == trouble("b@x.de", "missing_fields").key
    assert trouble("a@x.de", "deleted_client").key == trouble("b@x.de", "deleted_client").key
    assert trouble("a@x.de").key != trouble("b@x.de").key
    # In the Desk somebody authorised anew, as the wrong person: that is nothing mended.
    assert trouble("a@x.de", "wrong_account").key == trouble("a@x.de", "invalid_grant").key
    assert trouble("a@x.de").is_one_of_many
    assert not trouble("a@x.de", "auth").is_one_of_many
    assert not trouble(None, "cron_not_running").is_one_of_many


def test_a_calendar_that_goes_from_delayed_to_failing_is_one_trouble() -> None:
    words = ("delayed", "failing")
    both = {
        Trouble(account="a@x.de", calendar="c", state=w, cause="not_found", text="", step="").key
        for w in words
    }
    assert len(both) == 1


def test_five_alike_within_ten_minutes_have_one_cause() -> None:
    four = [known(n, minutes=n * 2) for n in range(1, ALIKE)]
    assert joined(four) == []
    assert joined([*four, known(5, minutes=40)]) == [], "too late to belong to them"
    assert joined([*four, known(5, minutes=10, cause="access_denied")]) == [], "another cause"
    [joint] = joined([*four, known(5, minutes=10)])
    assert joint == Joint(cause="invalid_grant", members=(1, 2, 3, 4, 5))


def test_a_wave_that_begins_after_a_single_one_is_found() -> None:
    rows = [known(1, minutes=-300), *(known(n, minutes=n) for n in range(2, 8))]
    [joint] = joined(rows)
    assert joint.members == (2, 3, 4, 5, 6, 7)


def test_who_comes_to_a_known_cause_in_time_belongs_to_it() -> None:
    group = known(9, is_group=True, is_one_of_many=False)
    members = [known(n, minutes=n, group=9) for n in range(1, 6)]
    [joint] = joined([group, *members, known(7, minutes=14), known(8, minutes=23)])
    assert joint == Joint(cause="invalid_grant", members=(7, 8), group=9)
    assert joined([group, *members, known(7, minutes=16)]) == [], "another story, days later"


def test_a_second_wave_belongs_to_the_same_cause() -> None:
    group = known(99, is_group=True, is_one_of_many=False)
    members = [known(n, minutes=n, group=99) for n in range(1, 6)]
    wave = [known(n, minutes=5_000 + n) for n in range(10, 15)]
    [joint] = joined([group, *members, *wave])
    assert joint == Joint(cause="invalid_grant", members=(10, 11, 12, 13, 14), group=99)


def test_what_is_no_longer_there_is_mended() -> None:
    here = trouble()
    rows = [known(1, key=here.key), known(2, key="needs_reconnect:gone@example.com")]
    assert vanished(rows, [here]) == [2]


def test_a_common_cause_is_mended_with_its_last_part() -> None:
    here = trouble()
    group = known(9, key="common:invalid_grant", is_group=True, is_one_of_many=False)
    one, other = known(1, key=here.key, group=9), known(2, key="x", group=9)
    assert vanished([group, one, other], [here]) == [2]
    assert vanished([group, one, other], []) == [1, 2, 9]


def test_never_by_what_is_broken() -> None:
    assert usable(["mail", "webhook"], "mail") == ["webhook"]
    assert usable(["mail", "webhook"], "invalid_grant") == ["mail", "webhook"]
