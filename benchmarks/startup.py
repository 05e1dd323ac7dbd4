"""How long the command line and ``watcher up`` take to be there, and how much memory all processes
of an idle installation with two accounts hold together.

Each figure stands beside a bare counterpart that is measured in the same run, by turns: a Python
that only imports click, and a Flask with one route under the server that Watcher uses. Machines are
noisy: compare figures of the same run only.

    .venv/bin/python benchmarks/startup.py [rounds]
"""

from __future__ import annotations

import os
import platform
import resource
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import requests

from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

ANN, BOB = "ann@scoopjoy.test", "bob@scoopjoy.test"
BIN = Path(sys.executable).parent
WATCHER = str(BIN / "watcher")
TAB = {"_WATCHER_COMPLETE": "bash_complete", "COMP_WORDS": "watcher acc", "COMP_CWORD": "1"}
BARE_APP = """
from flask import Flask
app = Flask("bare")
app.get("/readyz")(lambda: "ready")
"""
SERVERS = {
    "waitress": ["--listen=127.0.0.1:{port}", "--threads=8"],
    "gunicorn": ["--bind=127.0.0.1:{port}", "--worker-class=gthread", "--threads=8"],
}
SERVER = next(name for name in SERVERS if find_spec(name))
"""That of ``watcher web``."""
WORKERS = 3
"""Two for pushes and one for bulk work, as ``watcher up`` has by default."""
IDLE_SECONDS = 15.0
PROMPT = {
    "watcher --help": ([WATCHER, "--help"], {}),
    "watcher --version": ([WATCHER, "--version"], {}),
    "watcher accounts add --help": ([WATCHER, "accounts", "add", "--help"], {}),
    "Tab after `watcher acc`": ([WATCHER], TAB),
    "bare: python -c 'import click'": ([sys.executable, "-c", "import click"], {}),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_of(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Until it has ended, and of CPU: what it takes alone on a core."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**os.environ, **environ}, capture_output=True, check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - began, cpu


def until(what: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.perf_counter() + seconds
    while not what():
        if process.poll() is not None or time.perf_counter() > deadline:
            raise SystemExit(f"{process.args!r} did not get ready")
        time.sleep(0.01)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def started(
    command: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose messages go to ``folder/log``; it is ended with its children."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def memory(process: subprocess.Popen[bytes]) -> float:
    """MiB of all its processes together (PSS: what several share is counted once)."""
    return sum(p.memory_full_info().pss for p in family(process)) / 2**20


def work(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that all its processes have used: it depends less on who else is busy."""
    used = [p.cpu_times() for p in family(process)]
    return sum(times.user + times.system for times in used)


def bare(folder: Path) -> tuple[float, float, float]:
    """Seconds to the first answer of a bare Flask, its CPU by then, its memory."""
    (folder / "bare.py").write_text(BARE_APP)
    port = free_port()
    server = [word.format(port=port) for word in SERVERS[SERVER]]
    began = time.perf_counter()
    with started([sys.executable, "-m", SERVER, *server, "bare:app"], {}, folder) as process:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), process)
        return time.perf_counter() - began, work(process), memory(process)


def up(environ: Mapping[str, str], folder: Path) -> tuple[float, float, float]:
    """Seconds until a notification can be recorded, the CPU by then, and seconds until all workers
    wait for jobs."""
    address = environ["WATCHER_PUBLIC_URL"]
    began = time.perf_counter()
    with started([WATCHER, "up", "--port", address.rpartition(":")[2]], environ, folder) as process:
        until(lambda: answers(f"{address}/readyz"), process)
        ready, used = time.perf_counter() - began, work(process)
        until(lambda: (folder / "log").read_text().count(" is ready") >= WORKERS, process)
        return ready, used, time.perf_counter() - began


def idle(environ: Mapping[str, str], folder: Path) -> Iterator[tuple[str, float]]:
    """Memory of each process, once all was mirrored and nothing has happened for a while."""
    address = environ["WATCHER_PUBLIC_URL"]
    with started([WATCHER, "up", "--port", address.rpartition(":")[2]], environ, folder) as process:
        until(lambda: answers(f"{address}/readyz"), process)
        for email in (ANN, BOB):
            seconds_of([WATCHER, "accounts", "add", email, "--via", "service-account"], environ)
        time.sleep(IDLE_SECONDS)
        for each in family(process):
            yield each.name(), each.memory_full_info().pss / 2**20


@contextmanager
def installation() -> Iterator[tuple[dict[str, str], Path]]:
    """Stand-ins for both sides, two employees, and the settings of a Watcher between them."""
    google, site = GoogleState(), Site("Asia/Kolkata")
    google_server, erpnext_server = serve_google(google), serve_erpnext(site)
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        for email in (ANN, BOB):
            google.add_user(email)
            site.add_user(email)
        environ = {
            "WATCHER_DATA_DIR": str(folder / "data"),
            "WATCHER_SECRET_KEYS": secrets.token_hex(32),
            "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{free_port()}",
            "WATCHER_GOOGLE_API_URL": google_server.url,
            "WATCHER_GOOGLE_TOKEN_URL": f"{google_server.url}/token",
            "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(
                google.make_service_account(folder / "key.json")
            ),
            "WATCHER_DELEGATION_ALLOW": "@scoopjoy.test",
            "WATCHER_ERPNEXT_URL": erpnext_server.url,
            "WATCHER_ERPNEXT_API_KEY": site.api_key,
            "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
            "WATCHER_LOG_FORMAT": "json",
        }
        seconds_of([WATCHER, "erpnext", "setup"], environ)
        yield environ, folder
    google_server.close()
    erpnext_server.close()


def show(name: str, values: Sequence[float], unit: str = "s") -> None:
    spread = f"{min(values):.2f} to {max(values):.2f}"
    print(f"{name:48} {statistics.median(values):7.2f} {unit}   ({spread})")


def main(rounds: int) -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()};")
    print(f"medians of {rounds} rounds, by turns; load {os.getloadavg()[0]:.1f} at the start\n")
    prompt = [{name: seconds_of(*call) for name, call in PROMPT.items()} for _ in range(3 * rounds)]
    for name in PROMPT:
        show(name, [took[name][0] for took in prompt])
        show("    CPU", [took[name][1] for took in prompt])
    with installation() as (environ, folder):
        taken = [(up(environ, folder), bare(folder)) for _ in range(rounds)]
        ours, theirs = zip(*taken, strict=True)
        show("watcher up: a notification can be recorded", [ready for ready, _, _ in ours])
        show("    CPU of all its processes by then", [used for _, used, _ in ours])
        show("    all workers wait for jobs", [full for _, _, full in ours])
        show(f"bare: Flask under {SERVER} answers", [ready for ready, _, _ in theirs])
        show("    CPU of its processes by then", [used for _, used, _ in theirs])
        show("    memory", [held for _, _, held in theirs], "MiB")
        parts = list(idle(environ, folder))
        print(f"{'all processes of watcher up, idle':48} {sum(m for _, m in parts):7.2f} MiB PSS")
        for name, used in parts:
            print(f"    {name:44} {used:7.2f} MiB")


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
