"""How long the command line and ``watcher up`` take to be there, and how much memory all processes
of an idle installation with two accounts hold together, beside a Python that only imports click
and a Flask with one route under the server that Watcher uses."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.company import Company, Wanted, answers, free_port, settled, until
from benchmarks.rows import NOT_ASKED, Options, Row
from benchmarks.table import Figure, Goal, between

WATCHER = str(Path(sys.executable).parent / "watcher")
TAB = {"_WATCHER_COMPLETE": "bash_complete", "COMP_WORDS": "watcher acc", "COMP_CWORD": "1"}
BARE_APP = """
from flask import Flask
app = Flask("bare")
app.get("/readyz")(lambda: "ready")
"""
WORKERS = 3
"""Two for pushes and one for bulk work, as ``watcher up`` has by default."""
IDLE_SECONDS = 15.0
BARE = ([sys.executable, "-c", "import click"], dict[str, str]())
PROMPT: dict[str, tuple[list[str], dict[str, str]]] = {
    "`--help`": ([WATCHER, "--help"], {}),
    "`--version`": ([WATCHER, "--version"], {}),
    "Tab after `acc`": ([WATCHER], TAB),
}


def seconds_of(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Until it has ended, and of CPU: what it takes alone on a core."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**_path(), **environ}, capture_output=True, check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - began, cpu


def _path() -> dict[str, str]:
    return {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": "/nonexistent"}


def prompt(options: Options) -> Iterator[Figure]:
    """By turns, several times."""
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds(15, 5)):
        for name, call in {**PROMPT, "bare": BARE}.items():
            taken.setdefault(name, []).append(seconds_of(*call))
    bare = between([clock for clock, _ in taken.pop("bare")], "s")
    for name, took in taken.items():
        yield Figure(
            what=name,
            values=[clock for clock, _ in took],
            unit="s",
            goal=Goal(limit=0.25, noise=0.2),
            beside=f"`python -c 'import click'` {bare}; CPU {between([c for _, c in took], 's')}",
        )


def up(options: Options) -> Iterator[Figure]:
    """``watcher up`` until a notification can be recorded, and a bare Flask until it answers, by
    turns; at last the memory of an idle one with two accounts."""
    ready: list[float] = []
    used: list[float] = []
    bare: list[float] = []
    with settled(options, Wanted(employees=2, events=10)) as company:
        for _ in range(options.rounds(5, 2)):
            began = time.perf_counter()
            with company.up():
                ready.append(time.perf_counter() - began)
                used.append(company.cpu())
                _await_workers(company)
            seconds, flask = _bare(company.folder)
            bare.append(seconds)
        memory = _idle(company)
    yield Figure(
        what="`watcher up` until a notification can be recorded",
        values=ready,
        unit="s",
        goal=Goal(limit=3, noise=0.3),
        beside=f"a bare Flask under waitress {between(bare, 's')}; CPU {between(used, 's')}",
    )
    yield Figure(
        what="memory of all processes, idle, 2 accounts (PSS)",
        values=[memory],
        unit="MiB",
        goal=Goal(limit=300, noise=0.05),
        beside=f"that Flask {flask:.0f} MiB",
    )


def _await_workers(company: Company) -> None:
    log = company.folder / "up.log"
    until(lambda: log.read_text().count(" is ready") >= WORKERS, 60, "the workers are not ready")
    log.write_text("")


def _bare(folder: Path) -> tuple[float, float]:
    """Seconds to the first answer of a bare Flask, and its memory."""
    (folder / "bare.py").write_text(BARE_APP)
    port = free_port()
    command = [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", "bare:app"]
    began = time.perf_counter()
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 60, "Flask does not answer")
        taken = time.perf_counter() - began
        return taken, psutil.Process(process.pid).memory_full_info().pss / 2**20
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _idle(company: Company) -> float:
    """Once all was mirrored and nothing has happened for a while."""
    with company.up():
        for email in company.people:
            company.run("accounts", "add", email, "--via", "service-account")
        time.sleep(IDLE_SECONDS)
        return company.memory()


ROWS = (
    Row("prompt", "help, version, a Tab", prompt, NOT_ASKED),
    Row("up", "watcher up until it is ready, and its memory", up, NOT_ASKED),
)
