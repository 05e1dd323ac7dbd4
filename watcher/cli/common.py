"""What every command shares: services made when first needed, output, errors, questions."""

from __future__ import annotations

import functools
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from watcher.cli.later import later
from watcher.errors import ExitCode, NotFound, UserError

with later():
    from rich import console as terminal
    from rich import markup, progress
    from rich import table as tables

    from watcher import services as composed
    from watcher import settings as declared
    from watcher.given import files
    from watcher.ledger import accounts, models
    from watcher.telemetry import log as logs

F = TypeVar("F", bound=Callable[..., Any])


def read_settings(*, complete: bool = False) -> declared.Loaded:
    """``load``, with a ``UserError`` also for a settings file that is no text."""
    try:
        return declared.load(complete=complete)
    except UnicodeDecodeError:
        name = os.environ.get("WATCHER_CONFIG") or ".env"
        raise UserError(
            f"the settings file {name} is not a text file in UTF-8",
            next_step="correct it, or name another one: WATCHER_CONFIG",
        ) from None


def _require_any(loaded: declared.Loaded) -> None:
    """Raises ``UserError`` where nothing at all is set: whoever runs a command in another folder
    than the service is to be told so, and not to begin a second installation."""
    if set(loaded.sources.values()) == {"default"}:
        raise UserError(
            "no settings are found here",
            next_step=f"{files.looked(Path.cwd())}; `watcher init` begins a new installation",
        )


class Messages:
    """What is told to people beside a command's result, on stderr. The console is made when there
    is something to tell."""

    @functools.cached_property
    def console(self) -> terminal.Console:
        return terminal.Console(stderr=True, highlight=False, soft_wrap=True)

    def print(self, text: str, **options: Any) -> None:
        """``options`` are those of ``rich.console.Console.print``. On a terminal long lines are
        folded between words, but for those to be pasted."""
        if self.console.is_terminal:
            text = "\n".join(folded(line, self.console.width) for line in text.split("\n"))
        self.console.print(text, **options)


def folded(line: str, width: int) -> str:
    """The line, or several ones that go on below its first word. A line to be pasted stays one."""
    if len(line) <= width or line.lstrip().startswith("do: watcher"):
        return line
    start = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.lstrip(),
        width,
        initial_indent=start,
        subsequent_indent=f"{start}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


messages = Messages()


@dataclass(slots=True)
class App:
    """One invocation of the command line; the flags are those that may stand anywhere, and
    ``--yes``. ``result`` is what a command without a document of its own has done, for ``--json``
    (``result(...)``)."""

    no_input: bool = False
    verbose: bool = False
    as_json: bool = False
    yes: bool = False
    result: dict[str, object] = field(default_factory=dict)
    _loaded: declared.Loaded | None = field(default=None)
    _services: composed.Services | None = field(default=None)

    @property
    def loaded(self) -> declared.Loaded:
        if self._loaded is None:
            self._loaded = read_settings()
        return self._loaded

    @property
    def services(self) -> composed.Services:
        if self._services is None:
            logs.configure(self.loaded.settings.log_format, level=20 if self.verbose else 40)
            _require_any(self.loaded)
            self._services = composed.build(self.loaded.settings)
        return self._services

    def confirm(self, question: str) -> None:
        """Ask before destroying, unless ``--yes`` was given. Raises ``UserError`` where nobody can
        be asked."""
        if self.yes:
            return
        if self.no_input or not sys.stdin.isatty():
            raise UserError(f"{question} This is not a terminal to ask on", next_step="add --yes")
        if not click.confirm(question, err=True):
            raise click.Abort


pass_app = click.make_pass_decorator(App, ensure=True)


def result(**found: object) -> None:
    """What a command without a document of its own has done: it stands beside its ``code``."""
    click.get_current_context().ensure_object(App).result |= found


def note(name: str) -> Callable[[click.Context, click.Parameter, object], None]:
    """A callback that notes a flag in the ``App`` instead of handing it to the command."""

    def given(ctx: click.Context, _option: click.Parameter, value: object) -> None:
        if value:
            setattr(ctx.ensure_object(App), name, True)

    return given


def noted(name: str, *spelled: str, text: str) -> Callable[[F], F]:
    """An option that is noted in the ``App``."""
    return click.option(
        *spelled, name, is_flag=True, expose_value=False, callback=note(name), help=text
    )


def choose_config(_ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
    """By the environment, so that every process that this one starts reads the same file."""
    if value:
        os.environ[files.CONFIG] = os.environ[files.TYPED] = str(Path(value).absolute())


CONFIG_FILE: dict[str, Any] = {
    "metavar": "FILE",
    "expose_value": False,
    "callback": choose_config,
    "help": "The settings file; else WATCHER_CONFIG, .env here, /etc/watcher/watcher.env.",
}
json_option = noted("as_json", "--json", text="One JSON document on stdout.")
yes_option = noted("yes", "--yes", text="Do not ask.")


def ends_a_mirror(function: F) -> F:
    """``--events`` and ``--yes`` of a command after which something is no longer mirrored."""
    events = click.option(
        "--events",
        type=click.Choice(["keep", "cancel", "delete"]),
        default="keep",
        show_default=True,
        help="What becomes of the mirrored events.",
    )
    return events(yes_option(function))


def emit(document: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, default=str))


def called(event: Mapping[str, Any]) -> str:
    """An event's name for people: title and day as far as they are known and may be shown
    (``title``, ``day`` and ``private``), and its id (``event``)."""
    title = "private event, title not shown" if event["private"] else ""
    if event["title"] is not None:
        title = f'"{event["title"]}"'
    named = " on ".join(filter(None, (title, event["day"])))
    return f"{named}, event {event['event']}" if named else str(event["event"])


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table on a terminal or in a pipe; wide cells fold instead of being cut."""
    if not rows:
        messages.print(empty)
        return
    table = tables.Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Names are other people's: no bracket in them is a colour.
        table.add_row(*("" if cell is None else markup.escape(str(cell)) for cell in row))
    console = terminal.Console(highlight=False)
    if console.is_terminal:
        if _folds(columns, rows, console.width):
            _records(columns, rows)
        else:
            console.print(table)
        return
    # In a pipe a row is a line, however long, without the blanks that fill the last column.
    console.width = 10_000
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _folds(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> bool:
    """Would cells have to be broken in the middle of a word?"""
    widths = [
        max(len(str(cell)) for cell in (column, *(row[at] or "" for row in rows)))
        for at, column in enumerate(columns)
    ]
    return sum(widths) + 2 * len(widths) - 2 > width


def _records(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A narrow terminal gets one paragraph a row instead of a table with broken words."""
    label = max(len(column) for column in columns[1:])
    for row in rows:
        click.secho(str(row[0]), bold=True)
        for column, cell in zip(columns[1:], row[1:], strict=True):
            if cell not in (None, ""):
                click.echo(f"    {column:{label}}  {cell}")


def short_time(moment: datetime | None) -> str:
    """For people, in UTC: ``2026-12-01 08:55``. JSON has the whole of it."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def iso(moment: datetime | None) -> str | None:
    """For programs: ``2026-12-01T08:55:17Z``."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


def who(account: str, calendar: str) -> str:
    """An account's calendar for people: its own one is not named twice."""
    return account if account == calendar else f"{account} {calendar}"


@dataclass(frozen=True, slots=True)
class Whose:
    """The accounts that a command is about: those named, or all with ``--all``."""

    emails: tuple[str, ...] = ()
    everyone: bool = False

    def or_all(self) -> Whose:
        """All accounts where none is named."""
        return Whose(self.emails, self.everyone or not self.emails)


def whose_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Takes e-mail addresses or ``--all`` and hands them to the command as ``whose``; ``text`` is
    the help of ``--all``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument("emails", nargs=-1)
        @click.option("--all", "everyone", is_flag=True, help=text)
        @functools.wraps(function)
        def run(*args: Any, emails: tuple[str, ...], everyone: Any, **options: Any) -> Any:
            return function(*args, whose=Whose(emails, everyone), **options)

        return run

    return decorate


def select_accounts(app: App, whose: Whose, states: Sequence[str] = ()) -> list[models.Account]:
    """The accounts a command is about. Raises ``UserError`` for none named, ``NotFound``."""
    if not whose.emails and not whose.everyone:
        raise UserError("name an e-mail address, or --all")
    with app.services.db.reading() as session:
        chosen = (
            list(accounts.everyone(session))
            if whose.everyone
            else [accounts.get(session, email) for email in whose.emails]
        )
    fitting = [account for account in chosen if not states or account.state in states]
    if whose.emails and not fitting:
        raise NotFound(
            f"none of these accounts is {' or '.join(states)}",
            next_step="`watcher accounts list` shows their states",
        )
    if whose.emails:
        for account in chosen:
            if account not in fitting:
                messages.print(f"{account.email}: left out, it is {account.state}")
    return fitting


def life_bar(share: float, width: int = 10) -> str:
    """What is left of something, as a bar; ``share`` from 0 to 1."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)


def worst(codes: Sequence[int]) -> int:
    """0 when all went well, 3 when some did, the failure's own code when none did."""
    failed = [code for code in codes if code != ExitCode.OK]
    if not failed:
        return ExitCode.OK
    return failed[0] if len(failed) == len(codes) else ExitCode.PARTLY


def progress_bar(app: App) -> progress.Progress:
    """What is under way with how much of it is done, where there is a terminal to show it."""
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        console=messages.console,
        disable=app.as_json or not messages.console.is_terminal,
    )


@contextmanager
def new_file(
    name: str | Path, mode: int = 0o600, step: str = "name another file"
) -> Iterator[TextIO]:
    """A new text file, which nobody else may read unless ``mode`` says so. Raises ``UserError`` for
    one that is there (then ``step`` helps), or that cannot be written."""
    with files.writing(Path(name)):
        try:
            number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise UserError(f"{name} is there already", next_step=step) from None
    with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
        yield file
