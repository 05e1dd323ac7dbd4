"""Notifications: how fast they are acknowledged, what a flood of them costs, and what a restart of
the web process does to them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil

from benchmarks.company import Company, meanwhile, running, until
from benchmarks.load import CUT_OFF, REFUSED, Answered, Load, drive
from benchmarks.rows import NOT_ASKED, Options, Row
from benchmarks.table import Figure, Goal, between, number

FLOOD, FLOOD_SECONDS = 10_000, 10.0


def acknowledged(options: Options) -> Iterator[Figure]:
    """By turns: ``/healthz``, and notifications for one calendar while its events are edited."""
    with running(options) as company:
        [ann] = company.people
        healthz = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{company.port}\r\n\r\n".encode()
        told_of, seconds = company.notification(ann), options.pick(3, 2)
        seen: list[tuple[Answered, Answered]] = []
        for turn in range(options.rounds(5, 2) + 1):
            health = company.load(healthz, seconds=seconds)
            with meanwhile(lambda: company.edit(ann), 0.5):
                told = company.load(told_of, seconds=seconds)
            company.rest()
            if turn:  # the first one warms up
                seen.append((health, told))
    bad = sum(n for _, told in seen for status, n in told.statuses.items() if status != 204)
    rates = between([health.rate for health, _ in seen], "/s")
    yield Figure(
        what="notifications acknowledged in a second, 50 connections, while syncs write, "
        "against `/healthz`",
        values=[told.rate / health.rate for health, told in seen],
        unit="x",
        goal=Goal(limit=0.5, at_least=True, noise=0.2),
        beside=f"`/healthz` {rates}; notifications {between([t.rate for _, t in seen], '/s')}",
    )
    yield Figure(
        what="99 of 100 of them are acknowledged within",
        values=[told.wait(0.99) for _, told in seen],
        unit="ms",
        goal=Goal(limit=50, noise=0.4),
        beside=f"`/healthz` {between([h.wait(0.99) for h, _ in seen], 'ms')}",
    )
    yield Figure(what="of them not answered by 204", values=[bad], goal=Goal(limit=0))


def flood(options: Options) -> Iterator[Figure]:
    """Notifications for one calendar without end, with an edit every half second."""
    most = options.pick(FLOOD, FLOOD // 2)
    with running(options) as company:
        [ann] = company.people
        listings, began = company.listings(), time.monotonic()
        with meanwhile(lambda: company.edit(ann), 0.5):
            told = company.load(
                company.notification(ann), seconds=120.0, most=most, pace=FLOOD / FLOOD_SECONDS
            )
        until(lambda: not company.wrong(), 120, "the mirror does not become right", 0.05)
        right = max(0.0, time.monotonic() - began - told.seconds)
        company.rest()
        listed = company.listings() - listings
    yield Figure(
        what=f"{number(most)} notifications for one calendar in {told.seconds:.0f} s, an edit "
        "every half second: listings",
        values=[listed],
        goal=Goal(limit=4),
        beside=f"99 of 100 acknowledged within {number(told.wait(0.99))} ms",
    )
    yield Figure(
        what="the mirror is right after the last of them within",
        values=[right],
        unit="s",
        goal=Goal(limit=2, noise=0.5),
    )


def restart(options: Options) -> Iterator[Figure]:
    """The web process is killed after 2 seconds and stopped after 6."""
    with running(options) as company:
        [ann] = company.people
        request = company.notification(ann).replace(
            b"Content-Len", b"Connection: close\r\nContent-Len"
        )
        load = Load(
            port=company.port, requests=(request,), seconds=12.0, connections=500, pace=50.0
        )
        ended = company.pool.apply_async(drive, (load,))
        for wait, sent in ((2.0, signal.SIGKILL), (4.0, signal.SIGTERM)):
            time.sleep(wait)
            _web_process(company).send_signal(sent)
        told: Answered = ended.get()
    yield Figure(
        what="notifications refused while the web process is killed and stopped, 50 a second",
        values=[told.statuses.get(REFUSED, 0)],
        goal=Goal(limit=0),
        beside=f"{number(len(told.waits))} sent, {told.statuses.get(CUT_OFF, 0)} cut off by the "
        f"kill, the longest waited {told.wait(1.0) / 1000:.1f} s",
    )


def _web_process(company: Company) -> psutil.Process:
    for process in company.processes():
        if process.name().startswith("watcher:web"):
            return process
    raise SystemExit("there is no web process")


ROWS = (
    Row("ack", "notifications against /healthz, 50 connections", acknowledged, NOT_ASKED),
    Row("flood", "10,000 notifications for one calendar", flood, NOT_ASKED),
    Row("restart", "the web process is killed and stopped under load", restart, NOT_ASKED),
)
