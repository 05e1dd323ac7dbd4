"""``status``."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from watcher.cli.common import App, emit, iso, json_option, pass_app, who
from watcher.cli.later import later
from watcher.errors import ExitCode

with later():
    from watcher.jobs import pulse
    from watcher.ledger import document as documents
    from watcher.ledger import overview
    from watcher.ledger import problems as known

COLOURS = {"green": "green", "amber": "yellow", "red": "red"}
WIDEST, NARROWEST, LABEL = 80, 40, 13
SHOWN_ALIKE = 3
_TOGETHER = "\N{NO-BREAK SPACE}"
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


@click.command()
@json_option
@pass_app
def status(app: App) -> int:
    """One screen; exit 7 when something needs a person."""
    services = app.services
    refusal = pulse.write_tried(services)
    document = overview.look(services, refusal=refusal, silence=pulse.from_here(services))
    if app.as_json:
        emit(document.as_json())
    else:
        _screen(document)
    return ExitCode.OK if document.healthy else ExitCode.UNHEALTHY


def _screen(document: documents.Status) -> None:
    _styled(f"Watcher {document.version}: {document.word}", COLOURS[document.light])
    if document.is_empty:
        _indented("do: watcher accounts invite EMAIL")
    shown = document.as_json()
    for part in ("accounts", "calendars", "channels", "queue", "processes"):
        values = [_whole(f"{k.replace('_', ' ')} {_value(v)}") for k, v in shown[part].items()]
        _line(part, ", ".join(values))
    fresh = document.freshness_seconds
    pushed = f"p50 {fresh.p50} s, p95 {fresh.p95} s, p99 {fresh.p99} s"
    passes = "pass" if fresh.count == 1 else "passes"
    many = f"of {fresh.count} {passes} after a push in 24 h"
    _line("freshness", f"{pushed} {many}" if fresh.count else "no pushed change in 24 h")
    calls = document.google_calls
    _line("google calls", f"{calls.today} today, forecast {calls.forecast_day} of {calls.day_line}")
    _erpnext(document.erpnext)
    _set_aside(document.set_aside)
    _told("!", document.problems, COLOURS["red"])
    _told("~", document.warnings, COLOURS["amber"])


def _line(label: str, text: str) -> None:
    """A label and what is behind it, in lines that fit a narrow terminal."""
    _wrapped(f"{label:{LABEL - 1}} {text}", " " * LABEL, "")


def _told(mark: str, found: Sequence[known.Problem], colour: str) -> None:
    """Each with since when, what it holds up, in whose words, and what to do. Of many that are
    alike, such as accounts to be connected again, the first are shown in full."""
    alike: Counter[tuple[str, str]] = Counter()
    for problem in found:
        alike[problem.state, problem.cause] += 1
        if alike[problem.state, problem.cause] <= SHOWN_ALIKE:
            _problem(mark, problem, colour)
    for (state, cause), number in alike.items():
        if number > SHOWN_ALIKE:
            _styled(f"{mark} and {number - SHOWN_ALIKE} more: {state} ({cause})", colour)
            _indented("do: watcher status --json names them all")


def _problem(mark: str, problem: known.Problem, colour: str) -> None:
    account, calendar = problem.account, problem.calendar
    name = who(account, calendar or account) if account else "Watcher"
    since = f", since {iso(problem.since)}" if problem.since else ""
    _styled(f"{mark} {name}: {problem.title}{since}", colour)
    for sentence in (problem.facts, problem.message):
        if sentence:
            _indented(sentence)
    _indented(f"do: {problem.next_step}")


def _styled(text: str, colour: str) -> None:
    """A line that says a state, in its colour where there is a terminal, unless NO_COLOR is set."""
    plain = "NO_COLOR" in os.environ
    for line in textwrap.wrap(text, _width(), subsequent_indent="    ", **_WHOLE_WORDS):
        click.echo(line if plain else click.style(line, fg=colour, bold=True))


def _indented(text: str) -> None:
    """A sentence below a problem."""
    _wrapped(text, " " * 4, " " * 4)


def _wrapped(text: str, margin: str, first: str) -> None:
    """Print in lines that fit a narrow terminal. Words are not broken, so that a command in it can
    be copied."""
    margins: dict[str, Any] = {"initial_indent": first, "subsequent_indent": margin}
    click.echo(textwrap.fill(text, _width(), **margins, **_WHOLE_WORDS).replace(_TOGETHER, " "))


def _width() -> int:
    """That of the terminal, within what can be read."""
    columns = shutil.get_terminal_size((WIDEST, 0)).columns
    return max(NARROWEST, min(WIDEST, columns))


def _whole(text: str) -> str:
    """A label and its figure, that stay in one line."""
    return text.replace(" ", _TOGETHER)


def _erpnext(site: documents.SiteKnown) -> None:
    """The site's versions, and what is known of its Frappe."""
    named = ", ".join(f"{app} {version}" for app, version in site.versions.items())
    _line("erpnext", named or "not read yet")
    for sentence in site.warnings:
        _indented(f"note: {sentence}")


def _set_aside(found: documents.SetAside) -> None:
    """How many events were set aside and why, and when the next of them is tried again."""
    if not found.count:
        _line("set aside", "0")
        return
    again = f", next try {iso(found.next_try)}" if found.next_try else ""
    _line("set aside", f"{found.count}, the oldest since {iso(found.oldest)}{again}")
    for cause in found.causes:
        _indented(f"{cause.count} x {cause.cause}: {cause.message}")


def _value(value: object) -> str:
    return "-" if value is None else str(value)
