"""Which words the log's filter replaces, and which it leaves."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

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


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_journal_knows_a_warning_from_what_is_usual(
    log_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        there = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        monkeypatch.setattr("sys.stderr", journal)
        logs.configure(log_format)
        log = logging.getLogger("watcher.test")
        log.info("all is well")
        log.warning("look here")
        try:
            _fail("x")
        except ValueError:
            log.exception("it failed")
        journal.seek(0)
        usual, warned, *failed = journal.read().splitlines()
    assert usual.startswith("<6>")
    assert "all is well" in usual
    assert warned.startswith("<4>")
    assert all(line.startswith("<3>") for line in failed), "a traceback, too"


@pytest.mark.usefixtures("undisturbed")
def test_what_is_sent_elsewhere_has_no_marks_of_the_journal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A command that a unit starts with its output in a file inherits the variable."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    logs.configure("json")
    logging.getLogger("watcher.test").warning("look here")
    assert json.loads(capfd.readouterr().err)["event"] == "look here"
