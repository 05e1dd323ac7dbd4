"""Which words the log's filter replaces, and which it leaves."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator

import pytest

from watcher.telemetry import log as logs
from watcher.telemetry.log import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh.ijkl", "abcdefgh.ijkl"),
        ("Authorization: token 5c00ebb2307687f:c67fa45893f0251", "5c00ebb2307687f"),
        ("Authorization: token onlyletters:onlyletters", "onlyletters"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("got ya29.a0AfB_x-y and 1//0abc-DEF", "ya29.a0"),
        ("got ya29.a0AfB_x-y and 1//0abc-DEF", "1//0abc"),
        ('{"refresh_token": "plain words"}', "plain"),
        ("GET /events?syncToken=CPDAlvWDx70CEPDA&x=1", "CPDAlv"),
        ("grant: eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOi.c2ln", "eyJpc3MiOi"),
        ("redis://:pass-word@redis.example:6379/0", "pass-word"),
        ("postgresql+psycopg://watcher:p%40ss@db/watcher", "p%40ss"),
        ("smtps://user@example.com:pass@mail.example.com", "pass"),
        ("Exception on /connect/WyJhYmMiLCJhQGIuYyJd.sig-na_ture [GET]", "sig-na_ture"),
        ("https://watcher.example.com/connect/WyJhYmMiLCJhQGIuYyJd.x", "WyJhYmMi"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "MIIEvQ"),
    ],
)
def test_secrets_are_blanked(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Google's token endpoint answered 502",
        "the token endpoint: no answer",
        "sync token expired, a full sync follows",
        "Google did not reach https://watcher.example.com/webhooks/google of ann@example.com",
        "page /connect/<token> is for employees",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.fixture
def undisturbed() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    logging.getLogger("watcher").setLevel(logging.NOTSET)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_neither_local_variables_nor_secrets(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format)
    password = secrets.token_hex(16)
    try:
        _fail(password)
    except ValueError:
        logging.getLogger("watcher.test").exception("it failed")
    said = capsys.readouterr().err
    assert "it failed" in said
    assert "ValueError" in said
    assert "_fail" in said
    assert password not in said
    assert "abcdefgh" not in said


def _fail(password: str) -> None:
    raise ValueError("Bearer abc" + "defgh" * len(password))


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
        ("warning", ["warning"]),
    ],
)
def test_of_libraries_nothing_is_told_below_info(
    level: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Some of them write tokens into their lines at DEBUG."""
    logs.configure("json", logs.LEVELS[level])
    for name in ("watcher.test", "requests_oauthlib"):
        for word in logs.LEVELS:
            logging.getLogger(name).log(logs.LEVELS[word], "said")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines if line["logger"] == "watcher.test"] == told
    others = [line["level"] for line in lines if line["logger"] == "requests_oauthlib"]
    assert others == [word for word in told if word != "debug"]
