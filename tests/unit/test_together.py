"""One question for all who ask at once, and never an answer of the time before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.waiting import wait_for
from watcher.ledger.together import Together


def test_who_comes_meanwhile_shares_the_next_answer() -> None:
    together: Together[int] = Together()
    truth, asked = 1, 0
    go = threading.Event()

    def look() -> int:
        nonlocal asked
        asked += 1
        seen = truth
        if asked == 1:
            go.wait(60)
        return seen

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, "a", look)
        wait_for(lambda: asked == 1, what="the first look has begun")
        truth = 2
        later = [pool.submit(together.ask, "a", look) for _ in range(5)]
        assert pool.submit(together.ask, "b", lambda: 7).result(60) == 7, "another question"
        wait_for(lambda: sum(each.running() for each in later) == 5, what="all have come")
        go.set()
        assert first.result(60) == 1
        assert [each.result(60) for each in later] == [2] * 5, "begun after they came"
    assert 2 <= asked <= 6
    assert not together._newest, "nothing is kept of strangers' questions"


def test_what_goes_wrong_goes_wrong_for_all_who_share_it() -> None:
    together: Together[int] = Together()

    def fail() -> int:
        raise OSError("away")

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(together.ask, "a", fail) for _ in range(12)]
        for each in found:
            with pytest.raises(OSError, match="away"):
                each.result(60)
    assert together.ask("a", lambda: 3) == 3
