"""Lists of people as somebody has written them."""

from __future__ import annotations

import pytest

from watcher.accounts.lists import of_csv
from watcher.accounts.rounds import Guest
from watcher.errors import UserError
from watcher.ledger.accounts import normal


@pytest.mark.parametrize(
    "text",
    [
        "email\nann@example.com\n",
        "\ufeffEmail;x\r\nann@example.com;1\r\n",
        '"email"\n"ann@example.com"',
    ],
)
def test_what_spreadsheets_write(text: str) -> None:
    assert of_csv(text.encode(), "people.csv") == [Guest("ann@example.com", None)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'email\nann@example.com\n"bob@example.com\ncarl@example.com\n', "behind line 2: a quote"),
        (b'email\n"ann"@example.com\n', "behind line 1"),
        (b"email\n" + b"a" * 200_000, "behind line 1"),
        ("email\nänn@example.com".encode("latin-1"), "is not a CSV file in UTF-8"),
        ("email\nann@example.com".encode("utf-16"), "is not a CSV file in UTF-8"),
        (b"e-mail;name\n", "its first line has `e-mail`, `name`"),
        (b"", "its first line has nothing"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(data: bytes, says: str) -> None:
    with pytest.raises(UserError) as found:
        of_csv(data, "people.csv")
    assert says in found.value.message
    assert "people.csv" in found.value.message
    assert found.value.next_step


@pytest.mark.parametrize("text", ["ann", "ann@x", "a b@x.y", "a\0b@x.y", "a@b@x.y", "a@b.c,d@e.f"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UserError, match="is not an e-mail address"):
        normal(text)
