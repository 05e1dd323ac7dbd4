"""The figures of the code: how big its parts are, and how deep and how chatty one pass is.

``python -m tests.figures`` prints them; ``tests/test_figures.py`` holds their limits. Counted over
``watcher/`` without the migrations; the stand-ins in ``watcher_sandbox/`` are not counted.
"""

from __future__ import annotations

import ast
import functools
import http.client
import math
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import sqlalchemy

from tests.company import ANN, BOB, Company
from watcher.jobs import tasks
from watcher.ledger import owing
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

PACKAGE = Path(__file__).parent.parent / "watcher"
PRIVATE = "made private"
MIRRORED = {
    "place": ("location",),
    "meeting link": ("meeting_link", "meet_link", "google_meet_link", "hangoutLink"),
}
"""Two mirrored fields that are like the next one would be, and the words that name them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


# --- counted in the source ----------------------------------------------------------------


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if "migrations" not in path.parts]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions() -> Iterator[tuple[str, Function]]:
    """(``room/module.py:name``, function), methods and functions inside functions included."""
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE)}:{node.name}", node


def parameters(function: Function) -> list[ast.arg]:
    """All that a caller may give; ``self`` and ``cls`` are not given."""
    given = function.args
    named = [*given.posonlyargs, *given.args]
    if named and named[0].arg in ("self", "cls"):
        named = named[1:]
    stars = [star for star in (given.vararg, given.kwarg) if star is not None]
    return [*named, *given.kwonlyargs, *stars]


def many_parameters() -> dict[str, int]:
    counted = {name: len(parameters(function)) for name, function in functions()}
    return {name: count for name, count in counted.items() if count >= 5}


def bool_parameters() -> list[str]:
    """Those whose annotation is ``bool``."""
    return [
        f"{name}({arg.arg})"
        for name, function in functions()
        for arg in parameters(function)
        if isinstance(arg.annotation, ast.Name) and arg.annotation.id == "bool"
    ]


def lengths() -> dict[str, int]:
    """Lines of each function, its signature and docstring included, its decorators not."""
    return {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}


def own_imports() -> dict[str, int]:
    """How many names of the project each module imports."""
    counted = {}
    for path in modules():
        found = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
        own = [node for node in found if (node.module or "").split(".")[0] == "watcher"]
        if path.name != "__init__.py" or own:
            counted[str(path.relative_to(PACKAGE))] = sum(len(node.names) for node in own)
    return counted


def lines_laid_out_by_hand() -> int:
    return sum(len(re.findall(r"#\s*fmt:\s*skip", path.read_text())) for path in modules())


def files_at_the_top() -> list[str]:
    return sorted(path.name for path in PACKAGE.glob("*.py"))


def places(words: tuple[str, ...]) -> list[str]:
    """Where a mirrored field is named: functions, and statements of modules and classes (one row
    of a table of several lines is a place of its own). Docstrings and comments do not count."""
    word = re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])")
    found = []
    for path in modules():
        for place in _pieces(tree(path).body):
            if any(word.search(text) for text in _names_and_strings(place)):
                found.append(f"{path.relative_to(PACKAGE)}:{place.lineno}")
    return list(dict.fromkeys(found))


def _pieces(body: list[ast.stmt]) -> Iterator[ast.stmt | ast.expr]:
    for statement in body:
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.ClassDef):
            yield from _pieces(statement.body)
        elif isinstance(value, ast.Tuple | ast.List):
            yield from value.elts
        elif isinstance(value, ast.Dict):
            yield from (
                part for pair in zip(value.keys, value.values, strict=True) for part in pair if part
            )
        elif not (isinstance(statement, ast.Expr) and isinstance(value, ast.Constant)):
            yield statement


def _names_and_strings(place: ast.AST) -> Iterator[str]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(place)
        if isinstance(node, Function) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(place):
        for name in ("id", "attr", "arg", "name"):
            word = getattr(node, name, None)
            if isinstance(word, str):
                yield word
        value = getattr(node, "value", None)
        if isinstance(value, str) and id(node) not in docstrings:
            yield value


# --- seen while a pass runs ---------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """``chain`` holds the names of the functions of ``watcher/`` from the one that RQ calls down
    to the HTTP request, for the deepest request so far. ``transactions`` of the ledger, and the
    ``statements`` in them."""

    chain: list[str] = field(default_factory=list)
    transactions: int = 0
    statements: int = 0
    requests: int = 0

    def look(self, frame: FrameType | None) -> None:
        """Comprehensions have a frame of their own in Python 3.11 and none from 3.12 on: they do
        not count."""
        found: list[str] = []
        while frame is not None:
            code = frame.f_code
            own = code.co_filename.startswith(f"{PACKAGE}{os.sep}")
            if own and not code.co_name.endswith("comp>"):
                found.append(f"{Path(code.co_filename).relative_to(PACKAGE)}:{code.co_qualname}")
            if code is tasks.sync_calendar.__code__:
                self.requests += 1
                self.chain = max(self.chain, found[::-1], key=len)
                return
            frame = frame.f_back


@contextmanager
def watched(company: Company) -> Iterator[Seen]:
    """What runs inside is looked at: every HTTP request and every transaction of the ledger."""
    seen = Seen()
    real = http.client.HTTPConnection.putrequest

    def putrequest(self: http.client.HTTPConnection, *args: Any, **kwargs: Any) -> None:
        seen.look(sys._getframe(1))
        real(self, *args, **kwargs)

    def begun(_connection: sqlalchemy.Connection) -> None:
        seen.transactions += 1

    def carried_out(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.statements += not statement.startswith(("PRAGMA", "BEGIN"))

    engine = company.services.db.engine
    ways: dict[str, Callable[..., Any]] = {"begin": begun, "before_cursor_execute": carried_out}
    with ExitStack() as stack:
        for name, way in ways.items():
            sqlalchemy.event.listen(engine, name, way)
            stack.callback(sqlalchemy.event.remove, engine, name, way)
        patched = mock.patch.object(http.client.HTTPConnection, "putrequest", putrequest)
        stack.enter_context(patched)
        ours = mock.patch.object(tasks, "process_services", return_value=company.services)
        stack.enter_context(ours)
        yield seen


def one_pass(company: Company, reason: str, email: str = ANN) -> Seen:
    """What RQ calls, in this process, for somebody's calendar."""
    with watched(company) as seen:
        assert tasks.sync_calendar(company.calendar(email).id, reason) == "done"
    assert seen.requests, "a pass without a request"
    return seen


@contextmanager
def small_company() -> Iterator[Company]:
    """Sandboxes and an SQLite ledger; nobody listens at the queue, and no pass needs one."""
    google, site = GoogleState(), Site("Asia/Kolkata", frappe=16, erpnext=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watcher-figures-")))
        stack.callback(site.close)
        google_server, erpnext_server = serve_google(google), serve_erpnext(site)
        stack.callback(google_server.close)
        stack.callback(erpnext_server.close)
        company = Company(
            google=google,
            site=site,
            folder=folder,
            google_url=google_server.url,
            erpnext_url=erpnext_server.url,
            queue_url="redis://127.0.0.1:1",
            database_url=f"sqlite:///{folder / 'ledger.sqlite3'}",
        )
        stack.callback(company.close)
        yield company


def passes() -> dict[str, Seen]:
    """The first pass over a new calendar, with its channel, those after three changes of which a
    notification has told, and the first pass over the next calendar, by when ERPNext is known."""
    with small_company() as company:
        company.setup_erpnext()
        company.add()
        event_id = company.google.insert_event(ANN, company.timed())
        found = {"first": one_pass(company, "added")}
        for name, change in changes(company, event_id).items():
            change()
            tell(company)
            found[name] = one_pass(company, "push")
        company.add(BOB)
        found["next"] = one_pass(company, "connect", BOB)
        return found


def tell(company: Company) -> None:
    """Note a debt, as a notification does."""
    with company.services.db.session() as session:
        owing.owe_looks(session, [company.calendar(ANN).id], "push", company.services.clock())


def changes(company: Company, event_id: str) -> dict[str, Callable[[], object]]:
    google = company.google
    series = company.timed(recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    return {
        "one edit": lambda: google.patch_event(ANN, event_id, {"summary": "Late shift"}),
        "a series": lambda: google.insert_event(ANN, series),
        PRIVATE: lambda: google.patch_event(ANN, event_id, {"visibility": "private"}),
    }


# --- the table ----------------------------------------------------------------------------


def p90(values: list[int]) -> int:
    """The smallest value that nine of ten do not exceed."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def figures() -> dict[str, float]:
    """Name -> value; ``tests/test_figures.py`` has a limit for each."""
    count = len(list(functions()))
    imported, lines = list(own_imports().values()), list(lengths().values())
    ran = passes()
    chains = {name: len(seen.chain) for name, seen in ran.items()}
    erasing = chains.pop(PRIVATE)
    return {
        "functions with five or more parameters, %": 100 * len(many_parameters()) / count,
        "bool parameters in 100 functions": 100 * len(bool_parameters()) / count,
        "own names imported a module, median": statistics.median(imported),
        "own names imported a module, most": max(imported),
        "own frames from RQ's call to the HTTP request, most": max(chains.values()),
        "own frames when a row's past is erased, most": erasing,
        "ledger transactions for one edit": ran["one edit"].transactions,
        "ledger statements for one edit": ran["one edit"].statements,
        "ledger transactions for a new calendar": ran["next"].transactions,
        "ledger statements for a new calendar": ran["next"].statements,
        "places that name a mirrored field, most": max(map(len, map(places, MIRRORED.values()))),
        "lines laid out by hand (fmt: skip)": lines_laid_out_by_hand(),
        "files at the top of watcher/": len(files_at_the_top()),
        "function length in lines, p90": p90(lines),
        "function length in lines, most": max(lines),
    }


def main() -> None:
    for name, value in figures().items():
        print(f"{value:7.1f}  {name}")  # noqa: T201


if __name__ == "__main__":
    main()
