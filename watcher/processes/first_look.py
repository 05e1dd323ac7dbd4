"""What ``watcher up`` finds out at its start: whether both sides accept what is set.

It keeps nothing from starting: what fails is told in the log with what to do, and tried again until
it is mended, while the other processes go on trying for themselves.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

import requests

from watcher.doctor.case import opened
from watcher.doctor.examine import Report, examine
from watcher.doctor.say import Finding, Verdict
from watcher.doctor.table import AT_START
from watcher.errors import ExitCode
from watcher.processes.signals import stop_event
from watcher.settings import Loaded, Settings
from watcher.telemetry import log as logs
from watcher.waiting import Backoff

log = logging.getLogger(__name__)

WEB_SECONDS = 30.0
AGAIN = Backoff(first=30.0, longest=600.0)


def serve(settings: Settings, host: str, port: int) -> int:
    """Look, once the web server answers; ends when nothing fails any more, or by SIGTERM."""
    logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
    stop = stop_event()
    own = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    address = f"http://[{own}]:{port}" if ":" in own else f"http://{own}:{port}"

    def look() -> Report:
        with opened(Loaded(settings, {}, {})) as case:
            return examine(case, AT_START)

    if _web_answers(address, stop):
        log.info("ready at %s; the dashboard: %s/", address, settings.public_url)
    if not stop.is_set():
        watch(look, stop)
    return ExitCode.OK


def _web_answers(address: str, stop: threading.Event) -> bool:
    """Wait for it: a check of the public address would else find nobody there. False when all is to
    end, and after a while, for then the check is to say so."""
    for _ in range(int(WEB_SECONDS / 0.5)):
        try:
            requests.get(f"{address}/healthz", timeout=2)
        except requests.RequestException:
            if stop.wait(0.5):
                return False
        else:
            return True
    return False


def watch(look: Callable[[], Report], stop: threading.Event) -> None:
    """Look, tell what fails, and look again with growing pauses until nothing does."""
    known: dict[str, Finding] = {}
    for tries in itertools.count():
        report = look()
        failing = report.of(Verdict.FAIL)
        _tell(known, failing)
        if not failing:
            log.info(
                "both sides were tried: %d checks are well, warnings: %d (`watcher doctor`)",
                len(report.of(Verdict.OK)),
                len(report.of(Verdict.WARN)),
            )
            return
        known = failing
        if stop.wait(AGAIN.seconds(tries)):
            return


def _tell(known: dict[str, Finding], failing: dict[str, Finding]) -> None:
    """What is new, and what is mended."""
    for name, finding in failing.items():
        if known.get(name) != finding:
            log.error("%s: %s; do: %s", name, finding.message, finding.do)
    for name in known:
        if name not in failing:
            log.info("%s is mended", name)
