"""Imports follow the map in CONTRIBUTING.md: data flows one way, and each outside system has one
room."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "watcher"
BASE = {"errors", "languages", "__version__"}
MAY = {
    "errors": {"languages"},
    "waiting": set(),
    "given": {"errors", "languages"},
    "settings": {"errors", "given"},
    "events": {"errors", "languages"},
    "languages": set(),
    "google": {"errors", "events", "languages", "telemetry", "waiting"},
    "erpnext": BASE | {"events", "telemetry", "waiting"},
    "telemetry": set(),
    "ledger": BASE | {"given", "settings", "google", "waiting"},
    "services": {"erpnext", "errors", "google", "jobs", "ledger", "settings", "telemetry"},
    "sync": {
        "channels",
        "erpnext",
        "errors",
        "events",
        "google",
        "languages",
        "ledger",
        "services",
        "settings",
        "telemetry",
        "waiting",
    },
    "channels": {"errors", "google", "languages", "ledger", "services", "settings", "waiting"},
    "accounts": {
        "channels",
        "erpnext",
        "errors",
        "events",
        "google",
        "languages",
        "ledger",
        "notices",
        "services",
        "settings",
        "waiting",
    },
    "explain": {
        "erpnext",
        "errors",
        "events",
        "google",
        "languages",
        "ledger",
        "services",
        "sync",
    },
    "notices": {"erpnext", "errors", "languages", "ledger", "services", "settings"},
    "jobs": {
        "accounts",
        "channels",
        "errors",
        "given",
        "ledger",
        "notices",
        "services",
        "settings",
        "sync",
        "telemetry",
        "waiting",
    },
    "doctor": BASE | {"channels", "erpnext", "google", "ledger", "services", "settings"},
    "handlers": BASE
    | {
        "accounts",
        "doctor",
        "explain",
        "given",
        "google",
        "languages",
        "ledger",
        "services",
        "sync",
        "telemetry",
    },
    "worker": {"jobs", "ledger", "settings", "telemetry"},
    "processes": BASE
    | {
        "doctor",
        "handlers",
        "jobs",
        "ledger",
        "services",
        "settings",
        "telemetry",
        "waiting",
        "worker",
    },
    "__main__": {"cli"},
}
"""Which rooms a room may import; ``cli`` may import all."""

ONLY = {
    "frappeclient": {"erpnext"},
    "googleapiclient": {"google"},
    "google": {"google"},
    "google_auth_oauthlib": {"google"},
    "rq": {"jobs", "worker"},
    "sqlalchemy": {"ledger", "sync", "handlers", "jobs", "notices"},
    "alembic": {"ledger"},
    "cryptography": {"ledger", "google"},
    "nh3": {"events"},
    "flask": {"handlers", "processes"},
    "flask_babel": {"handlers"},
    "babel": {"handlers"},
    "click": {"cli"},
    "prometheus_client": {"handlers"},
    "smtplib": {"notices"},
}


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py") if len(parts) == 1 else parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "watcher":
            yield from (f"watcher.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_its_own(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "watcher" and other != room and room != "cli":
            assert other in MAY[room], f"{room} imports {other}"
        assert top not in ("watcher_sandbox", "icalendar"), "the stand-ins stay outside"
        if top in ONLY:
            assert room in ONLY[top], f"{room} imports {top}"


LIGHT = {
    "watcher.__version__",
    "watcher.errors",
    "watcher.doctor.say",
    "watcher.google.endpoints",
    "watcher.ledger.acts",
    "watcher.ledger.rings",
    "watcher.ledger.states",
}
"""What a module of commands may import at once: it takes no time. All else waits for a command to
run (``with later():``), since help and completion import these modules, too."""


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda p: p.name)
def test_a_module_of_commands_lets_its_rooms_wait(path: Path) -> None:
    known = (*sys.stdlib_module_names, "click")
    body = ast.parse(path.read_text()).body
    waiting = [node for node in body if isinstance(node, ast.With)]
    found = {name for node in body if node not in waiting for name in _names(node)}
    heavy = {
        name
        for name in found - LIGHT
        if name.partition(".")[0] not in known and not name.startswith("watcher.cli")
    }
    assert not heavy


def _names(node: ast.stmt) -> Iterator[str]:
    """Modules that one statement imports; of ``from watcher.x import y`` both may be meant."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        both = {f"{node.module}.{alias.name}" for alias in node.names}
        yield from both & LIGHT or ({node.module} if node.module != "watcher" else both)


PURE = ("watcher.events", "watcher.errors", "watcher.languages.sentence")


@pytest.mark.parametrize("path", sorted((PACKAGE / "events").glob("*.py")), ids=lambda p: p.name)
def test_the_pure_room_knows_the_standard_library_and_a_pure_cleaner_alone(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        known = (*sys.stdlib_module_names, "nh3")
        assert top in known or name.startswith(PURE)
        assert top not in ("os", "socket", "time", "subprocess", "threading", "random", "logging")


def test_every_room_is_in_the_plan() -> None:
    assert {room_of(path) for path in FILES} == {*MAY, "cli"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_and_stays_small(path: Path) -> None:
    text = path.read_text()
    if "migrations" not in path.parts:
        assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert text.count("\n") <= 400
