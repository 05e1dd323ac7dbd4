"""What the log keeps to itself, and what it may say."""

from __future__ import annotations

import pytest

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
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text
