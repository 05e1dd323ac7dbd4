"""The two halves of the tests, and what happens to one of whole systems that fails.

A test is of *whole systems* when it lies in tests/integration or tests/acceptance, asks for the
queue (every ``company`` has one) or is marked ``system``: it may start processes (Valkey, the
program, a browser). All others need no process of their own, and one that starts a process all
the same fails.

Whole systems have time-outs, and a machine may be busy: such a test that fails is run once more.
If it passes then, the run ends with a line that names it as flaky; more than ``ALLOWED`` of these
lines fail the run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

FOLDERS = ("integration", "acceptance")
STARTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "tests.forked"}
)
"""Events that Python and ``tests.forked`` raise before a process is started (``sys.audit``)."""
ALLOWED = 2
"""Flaky tests in a run that is still called good."""

_running: list[str] = []
"""The test of the fast half that is running in this process."""


def is_system(item: pytest.Item) -> bool:
    """Whether it is a test of whole systems."""
    return item.get_closest_marker("system") is not None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "system: a test of whole systems: it starts processes")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parts for folder in FOLDERS) or _asks_for_the_queue(item):
            item.add_marker("system")
        if is_system(item):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _asks_for_the_queue(item: pytest.Item) -> bool:
    return "valkey_server" in getattr(item, "fixturenames", ())


# --- the fast half starts no process ------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if not is_system(item):
        _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()


def _refuse(event: str, _args: Any) -> None:
    if _running and event in STARTS:
        name = _running[0]
        raise AssertionError(f"{name} starts a process ({event}): mark it `system`, or move it")


sys.addaudithook(_refuse)


# --- flaky tests --------------------------------------------------------------------------


def _flaky(reporter: pytest.TerminalReporter) -> list[str]:
    """Those that failed first and passed then."""
    passed = {report.nodeid for report in reporter.getreports("passed")}
    again = {report.nodeid for report in reporter.getreports("rerun")}
    return sorted(passed & again)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """More flaky tests than are allowed are a failure of the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(_flaky(reporter)) > ALLOWED and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What of the two halves ran, and a line for each flaky test."""
    ran = [
        report
        for kind in ("passed", "failed")
        for report in terminalreporter.getreports(kind)
        if getattr(report, "when", "") == "call"
    ]
    systems = sum("system" in report.keywords for report in ran)
    terminalreporter.write_line(
        f"{len(ran) - systems} tests without a process of their own, {systems} of whole systems"
    )
    flaky = _flaky(terminalreporter)
    for name in flaky:
        terminalreporter.write_line(f"FLAKY {name}: failed, and passed when it was run again")
    if len(flaky) > ALLOWED:
        terminalreporter.write_line(f"{len(flaky)} flaky tests: more than {ALLOWED} fail the run")
