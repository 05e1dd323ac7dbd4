"""One file for a bug report: what was found and how the ledger stands, without secrets, addresses
or titles. What is not known to be harmless is left out, not looked through."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from watcher import __version__
from watcher.doctor.case import Case
from watcher.doctor.examine import Report
from watcher.errors import WatcherError
from watcher.ledger.extract import extract, word
from watcher.settings import SECRETS, env_name, fields

_PACKAGES = (
    "cryptography",
    "flask",
    "frappe-client",
    "google-api-python-client",
    "google-auth",
    "gunicorn",
    "redis",
    "requests",
    "rq",
    "sqlalchemy",
)
_HARMLESS = ("erpnext_time_zone",)
"""Settings whose value is told although it is a text; numbers and choices are told anyway."""
_QUOTES = ("processes.cron", "google.accounts")
"""Checks whose sentence repeats what the ledger has noted of others: it is left out."""
_BLANKED = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+%-]*@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b(?:[\w-]+\.)+apps\.googleusercontent\.com\b"), "<client>"),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"), "<ip>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])"), "<ip>"),
    (re.compile(r"(?<![\w/])/(?:[\w.@-]+/)+[\w.@-]*"), "<path>"),
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}\b"), "<token>"),
)


def write(path: Path, case: Case, report: Report) -> None:
    """Readable by this user alone; a file that is there is replaced."""
    text = json.dumps(contents(case, report), indent=1)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text + "\n")


def contents(case: Case, report: Report) -> dict[str, Any]:
    return {
        "made_at": f"{case.now:%Y-%m-%dT%H:%M:%SZ}",
        "versions": _versions(),
        "settings": _settings(case),
        "doctor": _doctor(case, report),
        "status": _contained(lambda: _status(case)),
        "ledger": _contained(lambda: _ledger(case)),
    }


def _versions() -> dict[str, str]:
    there = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    packages = {name: metadata.version(name) for name in _PACKAGES if name in there}
    python = {"python": platform.python_version(), "system": platform.system()}
    return {"watcher": __version__, **python, "machine": platform.machine(), **packages}


def _settings(case: Case) -> dict[str, Any]:
    """Whether each is set, and the value of those that are numbers, choices or a time zone."""
    told: dict[str, Any] = {}
    for name in fields():
        value = getattr(case.settings, name)
        is_told = isinstance(value, int | float) or _is_choice(name) or name in _HARMLESS
        is_set = case.loaded.sources.get(name, "default") != "default"
        told[env_name(name)] = value if is_told else ("set" if is_set else "not set")
    return told


def _doctor(case: Case, report: Report) -> dict[str, Any]:
    return {
        name: {"verdict": str(each.verdict)}
        | ({} if name in _QUOTES else {"message": blanked(case, each.message)})
        for name, each in report.findings.items()
    }


def blanked(case: Case, text: str) -> str:
    """A sentence of a check without what names people, machines or secrets."""
    for known in _known(case):
        text = text.replace(known, "<hidden>")
    for pattern, instead in _BLANKED:
        text = pattern.sub(instead, text)
    return text


def _known(case: Case) -> list[str]:
    """Every value of the settings that says where or who this is, the longest first."""
    settings = case.settings
    found = {str(settings.data_dir), str(settings.data_dir.resolve()), platform.node()}
    for name in fields():
        value = getattr(settings, name)
        if isinstance(value, tuple):
            found.update(value)
        elif isinstance(value, str) and name not in _HARMLESS and not _is_choice(name):
            found.add(value)
        elif name in SECRETS:
            found.update(value.get_secret_value().split(","))
    for url in (settings.public_url, settings.erpnext_url):
        found.add(url.partition("://")[2].partition("/")[0].partition(":")[0])
    return sorted((each for each in found if len(each) > 3), key=len, reverse=True)


def _is_choice(name: str) -> bool:
    choices = get_args(fields()[name].annotation)
    return bool(choices) and all(isinstance(each, str) for each in choices)


def _status(case: Case) -> dict[str, Any]:
    """The counts; of each problem the state, the cause and since when."""
    document = case.status.as_json()
    kept = ("healthy", "accounts", "calendars", "channels", "queue", "freshness_seconds")
    told = {name: document[name] for name in (*kept, "google_calls", "quarantined")}
    told["erpnext"] = document["erpnext"]["versions"]
    told["problems"] = [
        {"state": problem["state"], "cause": word(problem["cause"]), "since": problem["since"]}
        for problem in document["problems"]
    ]
    return told


def _ledger(case: Case) -> dict[str, Any]:
    with case.made.db.reading() as session:
        return extract(session)


def _contained(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except WatcherError as error:
        return {"missing": type(error).__name__}
