"""Why another side was not reached is said in words, and without what was sent to it."""

from __future__ import annotations

import logging
import socket
import sys
from unittest.mock import Mock

import pytest
import redis
import requests

import watcher.cli
from watcher.errors import UserError, why_unreached


def refused() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_libraries_errors_are_put_into_words() -> None:
    port = refused()
    with pytest.raises(requests.ConnectionError) as http:
        requests.get(f"http://127.0.0.1:{port}/?secret", timeout=1)
    assert why_unreached(http.value) == "it refuses connections"
    with pytest.raises(redis.RedisError) as queue:
        redis.Redis(port=port).ping()
    assert why_unreached(queue.value) == "it refuses connections"
    with pytest.raises(redis.RedisError) as nothing:
        redis.Redis(unix_socket_path="/nowhere/at/all.sock").ping()
    assert why_unreached(nothing.value) == "nothing listens there"
    with pytest.raises(requests.ConnectionError) as unknown:
        requests.get("http://nobody.invalid/", timeout=1)
    assert why_unreached(unknown.value) == "DNS knows no address of it"


def test_what_has_no_words_is_named_by_its_class() -> None:
    looped = ValueError("secret")
    looped.args = (looped,)
    assert why_unreached(looped) == "ValueError"
    assert why_unreached(requests.ReadTimeout("secret")) == "no answer in time"


@pytest.mark.parametrize("words", [["demo"], ["sandbox", "google"], ["sandbox", "erpnext"]])
def test_a_port_that_is_taken_is_told_before_anything_starts(words: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1 port {port}"):
            watcher.cli.cli.main([*words, "--port", str(port)], standalone_mode=False)


def test_v_shows_a_defect_also_before_a_command_has_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(sys, "argv", ["watcher", "-v", "version"])
    monkeypatch.setattr(watcher.cli, "cli", Mock(main=Mock(side_effect=ValueError("of ours"))))
    with pytest.raises(SystemExit):
        watcher.cli.main()
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "an unexpected ValueError" in said
