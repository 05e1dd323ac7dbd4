"""The table of Google's refusals: pure, and it takes a body of any shape."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.google.scripted_google import error
from watcher.errors import AccountDead, CalendarGone, SyncTokenExpired, Transient, WatcherError
from watcher.google.errors import CallKind, classify, clean, read_document, snake

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "details", "reason", "message", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(300, 599),
    body=st.binary(max_size=40) | JSON.map(json.dumps),
    kind=st.sampled_from(get_args(CallKind)),
)
def test_any_answer_gets_a_verdict_and_none_kills_an_account(
    status: int, body: bytes | str, kind: CallKind
) -> None:
    verdict = classify(status, body, kind)
    assert isinstance(verdict.error, WatcherError)
    assert not isinstance(verdict.error, AccountDead)
    assert verdict.retry == "never" or isinstance(verdict.error, Transient)
    if status >= 500 or status == 429:
        assert isinstance(verdict.error, Transient)


@pytest.mark.parametrize("kind", get_args(CallKind))
def test_a_page_of_a_proxy_decides_nothing_for_good(kind: CallKind) -> None:
    for status in (302, 400, 401, 403, 404, 405, 407, 412, 418):
        verdict = classify(status, b"<html>no</html>", kind)
        done = kind == "stop" and status == 404
        assert isinstance(verdict.error, CalendarGone if done else Transient)


def test_a_400_means_a_dead_token_only_beside_one() -> None:
    body = error(400, "invalid").content()
    assert isinstance(classify(400, body, "delta").error, SyncTokenExpired)
    assert not isinstance(classify(400, body, "snapshot").error, SyncTokenExpired)
    assert not isinstance(classify(400, body, "mint").error, Transient)


def test_newer_error_details_are_read_too() -> None:
    body = '{"error": {"code": 403, "details": [{"reason": "SERVICE_DISABLED"}]}}'
    assert read_document(body).reasons == ("SERVICE_DISABLED",)
    assert classify(403, body, "delta").error.next_step.startswith("Enable the Google Calendar")


def test_words_and_texts() -> None:
    assert snake("push.webhookUrlNotHttps") == "webhook_url_not_https"
    assert snake("SERVICE_DISABLED") == "service_disabled"
    assert clean("a\n b " + "x" * 300).startswith("a b xxx")
    assert len(clean("x" * 300)) == 200
    assert clean("use Bearer abc.def now") == "use [redacted] now"
    assert clean(None) == ""
