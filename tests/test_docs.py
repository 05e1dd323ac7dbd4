"""The documentation is checked against the program: it fails where one says what the other does
not. What it cannot check by itself, the text, is kept short."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from click.testing import CliRunner
from flask import Flask

import watcher
from tests.company import ADMIN, ANN, BOB, SERVICE_ACCOUNT, Company
from tests.forked import forked
from tests.integration.test_cli_runner import run as run_forked
from tests.integration.test_cli_runner import sqlite_only
from tests.postbox import Postbox
from watcher.cli import cli
from watcher.erpnext.fields import MIRRORED, SECTION, WANTED
from watcher.erpnext.lines import NOTE, WARNING
from watcher.erpnext.versions import KNOWN
from watcher.errors import Cause, ExitCode
from watcher.google.endpoints import CALENDAR_SCOPE, LIST_SCOPE
from watcher.handlers.app import create_app
from watcher.handlers.context import TALLY
from watcher.jobs.timetable import timetable
from watcher.ledger import accounts, budget, notices, overview
from watcher.ledger.acts import What
from watcher.ledger.inbox import Word
from watcher.ledger.problems import ProblemState
from watcher.ledger.rings import Reason
from watcher.ledger.states import AccountState
from watcher.services import Ledger, Services, build
from watcher.settings import SECRETS, env_name, fields, load, plain

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"`([^`\n]+)`")
EVERY_PAGE = pytest.mark.parametrize("page", NAMES)
RULES = {"Bronze": 18, "Silver": 10, "Gold": 21, "Platinum": 3}
VERDICTS = ("done", "exempt", "open")
SHELL = ("|", "||", "&&", ";", ">", ">>", "<")

Words = list[str]


# --- reading the pages --------------------------------------------------------------------


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", read(name))


def table(page: str, first: str) -> list[list[str]]:
    """Cells of the rows below the header that begins with ``first``."""
    found: list[list[str]] = []
    inside = False
    for line in prose(page).splitlines():
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] == first:
            inside = True
        elif not cells:
            inside = False
        elif inside and not re.fullmatch(r"-{3,}", cells[0]):
            found.append(cells)
    assert found, f"{page} has no table that begins with {first!r}"
    return found


def section(page: str, heading: str) -> str:
    """The text below a ``##`` heading."""
    parts = re.split(r"^## (.+)$", read(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


# --- the commands -------------------------------------------------------------------------


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """(name without ``watcher``, command), groups left out."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


COMMANDS = dict(commands(cli.complete()))


def parse(words: Words) -> str:
    """The command that ``watcher WORDS`` would run, by click's own parser; it is not run.

    Raises ``click.UsageError`` for what click would refuse, and for a group without a command.
    """
    command: click.Command = cli
    above: click.Context | None = None  # click keeps what it took from it, such as -h for help
    path: Words = []
    while True:
        with command.make_context(command.name, list(words), parent=above) as context:
            if not isinstance(command, click.Group):
                return " ".join(path)
            name, following, words = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
        assert following is not None
        assert name is not None
        command, above = following, context
        path.append(name)


def is_group(words: Words) -> bool:
    """A group that is only named: `watcher keys`."""
    command: click.Command | None = cli
    for word in words:
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return isinstance(command, click.Group)


def in_fences(page: str) -> Iterator[Words]:
    """Words after ``watcher`` of every command line in the page's blocks of shell."""
    for language, block in FENCE.findall(read(page)):
        if language not in ("sh", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if language == "console" and not line.lstrip().startswith("$ "):
                continue
            found = words_after_watcher(line.strip().removeprefix("$ "))
            if found is not None:
                yield found


def words_after_watcher(line: str) -> Words | None:
    """None when the line runs something else; settings and `sudo`, `docker` before it are fine,
    and so is a pipe or a file behind it."""
    words = shlex.split(line, comments=True)
    words = words[: next((n for n, word in enumerate(words) if word in SHELL), len(words))]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    for prefix in (["docker", "compose", "exec", "web"],):
        if words[: len(prefix)] == prefix:
            words = words[len(prefix) :]
    if words[:1] == ["sudo"]:
        del words[0]
        while words and words[0].startswith("-"):
            del words[: 2 if words[0] == "-u" else 1]
    is_ours = bool(words) and (words[0] == "watcher" or words[0].endswith("bin/watcher"))
    return words[1:] if is_ours else None


def in_text(page: str) -> Iterator[str]:
    """What stands in backquotes and begins with ``watcher``."""
    for code in PLAIN.findall(prose(page)):
        found = re.fullmatch(r"(?:\.venv/bin/)?watcher ([a-z-].*)", code.replace("\\|", "|"))
        if found:
            yield found.group(1)


def is_synopsis(text: str) -> bool:
    return "[" in text


def planned() -> set[str]:
    """Commands that docs/limits.md says are not there yet."""
    found = re.search(r"^- \*\*Commands to come\*\*:(.*?)\. ", read("docs/limits.md"), re.MULTILINE)
    return set(re.findall(r"`watcher ([^`]+)`", found.group(1))) if found else set()


def first_words(text: str) -> str:
    """`accounts add EMAIL [--via ...]` -> `accounts add`."""
    return re.split(r"[A-Z\[]", text)[0].strip()


@EVERY_PAGE
def test_commands_in_blocks_are_accepted(page: str) -> None:
    for words in in_fences(page):
        try:
            parse(words)
        except click.ClickException as error:
            pytest.fail(f"{page}: watcher {shlex.join(words)}: {error.format_message()}")


def test_commands_in_blocks_are_found() -> None:
    found = {words[0] for name in NAMES for words in in_fences(name)}
    assert found >= {"accounts", "erpnext", "keys", "config", "--no-input", "-v"}


@EVERY_PAGE
def test_commands_in_text_are_accepted(page: str) -> None:
    allowed = planned() if page == "docs/limits.md" else set()
    for text in in_text(page):
        if is_synopsis(text) or is_group(text.split()) or text in allowed:
            continue
        try:
            parse(text.split())
        except click.MissingParameter:
            continue  # a mention, such as `watcher accounts resume`
        except click.ClickException as error:
            pytest.fail(f"{page}: watcher {text}: {error.format_message()}")


def test_what_is_said_to_be_missing_is_missing() -> None:
    for text in planned():
        with pytest.raises(click.ClickException):
            parse(text.split())


def synopses() -> dict[str, str]:
    """Command -> its synopsis in docs/commands.md, which has to be given once."""
    found: dict[str, str] = {}
    for row in table("docs/commands.md", "command"):
        for text in PLAIN.findall(row[0]):
            name = first_words(text.removeprefix("watcher "))
            assert name not in found, f"docs/commands.md gives watcher {name} twice"
            found[name] = text
    return found


def test_commands_page_has_each_command_and_no_other() -> None:
    assert set(synopses()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_synopsis_is_that_of_the_command(name: str) -> None:
    text = synopses()[name]
    named = set(re.findall(r"--[a-z-]+", text))
    options = [p for p in COMMANDS[name].params if isinstance(p, click.Option) and not p.hidden]
    assert named == {option.opts[0] for option in options}
    for option in options:
        if isinstance(option.type, click.Choice):
            given = re.search(rf"{option.opts[0]} ([a-z|.A-Z0-9-]+)\]", text)
            assert given is not None
            assert set(given.group(1).split("|")) == set(option.type.choices)
        assert (f"{option.opts[0]}]" in text) == option.is_flag, f"{name} {option.opts[0]}"
        assert (f"{option.opts[0]} ID]..." in text) == option.multiple, f"{name} {option.opts[0]}"
    arguments = [p for p in COMMANDS[name].params if isinstance(p, click.Argument)]
    bare = re.sub(r"\[--[^\]]*\](\.\.\.)?", "", text.removeprefix(f"watcher {name}")).split()
    assert len(bare) == len(arguments)
    for word, argument in zip(bare, arguments, strict=True):
        assert word.startswith("[") == (not argument.required)
        assert word.endswith("...]") == (argument.nargs == -1)


def test_every_command_group_and_option_has_help() -> None:
    def walk(command: click.Command, name: str) -> None:
        assert command.help, f"{name} has no help"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts[0]} has no help"
        for word, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{name} {word}")

    walk(cli, "watcher")


def test_options_before_the_command() -> None:
    documented = {o for row in table("docs/commands.md", "option") for o in PLAIN.findall(row[0])}
    assert documented == {o for p in cli.params for o in p.opts}


def test_exit_codes() -> None:
    documented = {int(row[0]) for row in table("docs/commands.md", "code")}
    assert documented == {value for name, value in vars(ExitCode).items() if name.isupper()}


# --- settings -----------------------------------------------------------------------------


def default_of(name: str) -> str:
    """A setting's default as docs/settings.md writes it; "" when it is empty."""
    value = fields()[name].default
    if name in SECRETS or value in ("", ()):
        return ""
    return f"./{value}" if isinstance(value, Path) else plain(value)


def test_settings_page_has_each_setting_and_no_other() -> None:
    rows = [row[0].strip("`") for row in table("docs/settings.md", "setting")]
    assert rows == [env_name(field) for field in fields()]


@pytest.mark.parametrize("field", fields())
def test_setting_has_its_true_default(field: str) -> None:
    rows = {row[0].strip("`"): row for row in table("docs/settings.md", "setting")}
    _, default, meaning, secret = rows[env_name(field)]
    if default_of(field):
        assert default == default_of(field)
    else:
        assert default == "-" or " " in default, "an empty default is told in words, or as -"
    assert meaning.startswith(str(fields()[field].description))
    assert secret == ("yes" if field in SECRETS else "")
    for choice in get_args(fields()[field].annotation):
        assert not isinstance(choice, str) or choice in meaning or not choice


@EVERY_PAGE
def test_settings_named_anywhere_exist(page: str) -> None:
    known = {env_name(field) for field in fields()} | {"WATCHER_CONFIG"}
    known |= {f"{env_name(field)}_FILE" for field in SECRETS}
    text = read(page)
    for name in set(re.findall(r"WATCHER_[A-Z_]*[A-Z]\b", text)):
        if name.startswith("WATCHER_TEST_"):
            used = (ROOT / "tests/conftest.py", ROOT / "tests/acceptance/test_browser.py")
            assert any(name in file.read_text() for file in used), name
        elif f"{name}_..." in text:
            assert any(other.startswith(f"{name}_") for other in known), name
        else:
            assert name in known, f"{page}: {name}"


def test_examples_of_settings_are_accepted(tmp_path: Path) -> None:
    """Every block of settings in docs/settings.md, all lines of it together."""
    blocks = [b for _, b in FENCE.findall(read("docs/settings.md")) if b.startswith("WATCHER_")]
    assert len(blocks) >= 3
    for block in blocks:
        given = dict(re.findall(r"^(WATCHER_[A-Z_]+)=(\S+)", block, re.MULTILINE))
        for name in [
            n
            for n in given
            if n.removesuffix("_FILE").removeprefix("WATCHER_").lower() in SECRETS
            and n.endswith("_FILE")
        ]:
            file = tmp_path / name
            file.write_text("k" * 40)
            given[name] = str(file)
        if "WATCHER_CONFIG" not in given:
            load(given, tmp_path)


# --- the project --------------------------------------------------------------------------


@EVERY_PAGE
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page}: {target}"


def anchors(file: Path) -> set[str]:
    """The anchors that headings get on a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@EVERY_PAGE
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    text = read(page)
    named = set(re.findall(r"`make ([a-z-]+)", text))
    named |= set(re.findall(r"^ *(?:\$ )?make ([a-z-]+)", text, re.MULTILINE))
    missing = set(re.findall(r"`make ([a-z-]+)`", not_yet())) if page == "docs/limits.md" else set()
    assert not missing & targets, "docs/limits.md lacks what is there"
    assert named - missing <= targets


def not_yet() -> str:
    found = re.search(r"^- \*\*Make targets to come\*\*:.*$", read("docs/limits.md"), re.MULTILINE)
    return found.group(0) if found else ""


def test_every_page_is_named_in_the_readme() -> None:
    for page in NAMES:
        if page != "README.md":
            assert f"]({page})" in read("README.md"), page


def test_first_screen_names_the_two_commands() -> None:
    first = read("README.md").split("\n## ")[0]
    assert "\nmake demo " in first
    assert "\nmake test " in first
    assert "Python 3.11" in first


def test_version_is_that_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == watcher.__version__


CODE = re.compile(r"((?:watcher|watcher_sandbox|tests|benchmarks|deploy)/[\w./@-]*)(?:::(\w+))?")


@EVERY_PAGE
def test_files_and_names_of_the_code_exist(page: str) -> None:
    for found in filter(None, map(CODE.fullmatch, PLAIN.findall(prose(page)))):
        path, name = ROOT / found.group(1), found.group(2)
        assert path.exists(), f"{page}: {found.group()}"
        if name:
            assert name in defined_in(path), f"{page}: {found.group()}"


def defined_in(path: Path) -> set[str]:
    """Functions, classes and constants at the top of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


def test_the_map_has_every_room() -> None:
    rooms = {row[0].strip("`") for row in table("CONTRIBUTING.md", "room")}
    package = ROOT / "watcher"
    folders = {f"watcher/{p.parent.name}/" for p in package.glob("*/__init__.py")}
    modules = {f"watcher/{p.name}" for p in package.glob("[a-z]*.py")}
    assert rooms == {*folders, *modules, "watcher_sandbox/"}


def test_glossary_is_in_order_and_whole() -> None:
    pages = ("docs/glossary.md", "CONTRIBUTING.md")
    found = [[row[0].lower() for row in table(page, "word")] for page in pages]
    for words in found:
        assert words == sorted(words)
    assert not set(found[0]) & set(found[1])
    text = " ".join(found[0] + found[1])
    for word in (
        "watch channel",
        "resource id",
        "channel token",
        "sync token",
        "delta",
        "snapshot",
        "full sync",
        "window",
        "sync key",
        "upsert",
        "mask",
        "lease",
        "fence",
        "sweep (of cron)",
        "sweep (of a snapshot)",
        "ring",
        "lane",
        "quarantine",
        "poll",
        "reconcile",
        "brake",
    ):
        assert word in text, word


WORDS_OF_THE_CODE = re.compile(
    r"\b(?:mint(?:ed)?|snapshots?|sweeps?|swept|rings?|rung|fences?|lanes?)\b", re.IGNORECASE
)
"""CONTRIBUTING.md has what they mean. Names that are fixed stand in backquotes."""


@pytest.mark.parametrize("page", [n for n in NAMES if n.startswith(("README", "docs/", "deploy/"))])
def test_pages_for_users_have_no_words_of_the_code(page: str) -> None:
    text = PLAIN.sub("", prose(page)).replace("| sweep | the name", "")
    assert WORDS_OF_THE_CODE.findall(text) == [], "docs/glossary.md has the words that users know"


def test_help_has_no_words_of_the_code() -> None:
    for name, command in COMMANDS.items():
        texts = [command.help or "", command.short_help or ""]
        texts += [p.help or "" for p in command.params if isinstance(p, click.Option)]
        assert WORDS_OF_THE_CODE.findall(" ".join(texts)) == [], f"watcher {name} --help"


def names_of_tests(file: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", read(file), re.MULTILINE))


def named_in_last_column(page: str) -> set[str]:
    """What the last column of a page's table of numbered rows names; each has to exist."""
    named: set[str] = set()
    for row in table(page, "#"):
        assert all(row), f"{page}: row {row[0]} has an empty cell"
        found = PLAIN.findall(row[-1])
        assert found, f"{page}: row {row[0]} names no test"
        for name in found:
            file, _, test = name.partition("::")
            assert (ROOT / file).is_file(), f"{page}: row {row[0]} names {file}"
            assert test in names_of_tests(file), f"{page}: row {row[0]} names {name}"
        named.update(found)
    return named


def test_each_promise_names_tests_that_exist() -> None:
    assert named_in_last_column("docs/promises.md")
    assert len(table("docs/promises.md", "#")) == 10


def test_each_failure_story_names_tests_that_exist() -> None:
    named = named_in_last_column("docs/failure-stories.md")
    assert len(table("docs/failure-stories.md", "#")) == 35
    file = "tests/integration/test_failure_stories.py"
    assert {name for name in named if name.startswith(file)} == {
        f"{file}::{test}" for test in names_of_tests(file)
    }


def test_the_quality_scale_is_whole_and_its_sums_are_right() -> None:
    for tier, *sums in table("docs/quality-scale.md", "tier"):
        rows = re.findall(
            r"^\| ([a-z-]+) \| (done|exempt|open) \| .{10,} \|$",
            section("docs/quality-scale.md", tier),
            re.MULTILINE,
        )
        counted = [sum(verdict == word for _, verdict in rows) for word in VERDICTS]
        assert [int(number) for number in sums] == counted, tier
        assert len(dict(rows)) == RULES[tier], tier


def test_nothing_points_at_a_text_outside_the_repository() -> None:
    elsewhere = re.compile(r"(?:google|frappe|hr|component)-facts|\bpromise G\d|\b[Ii]ssue \d+\b")
    for path in (file for end in ("py", "md", "html", "yaml") for file in ROOT.rglob(f"*.{end}")):
        if path.relative_to(ROOT).parts[0].startswith(".") or path == Path(__file__):
            continue
        found = elsewhere.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


# --- the running program ------------------------------------------------------------------


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A Watcher on an empty SQLite ledger, with no queue behind it."""
    environ = {
        "WATCHER_DATA_DIR": str(tmp_path / "data"),
        "WATCHER_SECRET_KEYS": secrets.token_urlsafe(32),
        "WATCHER_PUBLIC_URL": "https://watcher.example.com",
    }
    made = build(load(environ, tmp_path).settings, ledger=Ledger.MADE)
    yield made
    made.doorbell.client.close()
    made.db.dispose()


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


def test_routes_page_has_each_route_and_no_other(app: Flask) -> None:
    documented = {
        c for row in table("docs/operations.md", "address") for c in PLAIN.findall(row[0])
    }
    assert documented == {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_metrics_page_has_each_metric_and_no_other(app: Flask) -> None:
    client = app.test_client()
    stranger = {"X-Goog-Channel-ID": "stranger", "X-Goog-Resource-State": "exists"}
    assert client.post("/webhooks/google", headers=stranger).status_code == 404
    app.extensions[TALLY].add("notifications_retired")
    text = client.get("/metrics").get_data(as_text=True)
    exported = set(re.findall(r"^# TYPE (watcher_\w+)", text, re.MULTILINE))
    rows = table("docs/operations.md", "metric")
    documented = {name for row in rows for name in PLAIN.findall(row[0])}
    assert documented == exported
    for name in re.findall(
        r"\b(watcher_[a-z]+_?[a-z_]*)\b", section("docs/operations.md", "Metrics")
    ):
        assert name in exported, name
    labels = {name: set(re.findall(rf"^{name}{{(\w+)=", text, re.MULTILINE)) for name in exported}
    for row in rows:
        for label in labels[PLAIN.findall(row[0])[0]]:
            assert f"`{label}`" in row[1], f"{row[0]} has the label {label}"


def test_outcomes_of_notifications() -> None:
    documented = {row[0] for row in table("docs/operations.md", "outcome")}
    source = read("watcher/handlers/notifications.py")
    assert documented == {*get_args(Word), *re.findall(r"labels\(\"(\w+)\"\)", source)}


def test_reasons_of_a_sync() -> None:
    rows = {row[0]: row[1] for row in table("docs/operations.md", "field")}
    documented = set(PLAIN.findall(rows["`why`"]))
    assert documented == {*get_args(Reason), "resync"}, "`resync` works by itself, without a ring"


def test_status_document(services: Services) -> None:
    with services.db.session() as session:
        real = overview.status(
            services.db, session, services.clock(), {"live": 0, "backfill": 0}
        ).as_json()
    shown = json.loads(re.findall(r"^```json\n(.*?)^```", read("docs/commands.md"), re.M | re.S)[0])
    assert shape(shown) == shape(real)
    assert shown["version"] == watcher.__version__


def shape(document: dict[str, Any]) -> dict[str, Any]:
    """Names, down to the second level."""
    return {k: sorted(v) if isinstance(v, dict) else None for k, v in document.items()}


def test_each_known_fault_of_frappe_is_on_the_page_of_versions() -> None:
    text = section("docs/versions.md", "Frappe and ERPNext")
    for known in KNOWN:
        assert known.source.removeprefix("https://").partition(";")[0] in text, known
        assert f"{known.first[0]}." in text


def test_what_the_status_can_say_is_explained() -> None:
    """Each state and cause of Watcher's own is in the table of docs/troubles.md."""
    text = section("docs/troubles.md", "By the words of the status")
    for word in (*ProblemState, *Cause):
        assert f"`{word.value}`" in text, word.value


def test_nets_page_has_the_timetable(services: Services) -> None:
    """Cron's work and intervals in docs/how-it-works.md, by the names of the timetable."""
    works = [work for row in timetable(services).values() for work in row]
    rows = {row[1].strip("`"): row[2] for row in reversed(table("docs/how-it-works.md", "net"))}
    assert set(rows) - {"-"} == {work.name for work in works}
    units = {3600: "h", 60: "min", 1: "s"}
    for work in works:
        if work.name in ("poll", "reconcile"):
            continue  # cron looks often for what is seldom due
        size = next(size for size in units if work.seconds >= size and work.seconds % size == 0)
        assert re.match(rf"{work.seconds / size:g} {units[size]}\b", rows[work.name]), work.name


def test_quotas() -> None:
    rows = {row[0]: row[1:] for row in table("docs/how-it-works.md", "work")}
    for word, purpose in (("pushes", "push"), ("polls", "poll"), ("bulk", "backfill")):
        numbers = budget.PROJECT_PER_MINUTE[purpose], budget.ACCOUNT_PER_MINUTE[purpose]  # type: ignore[index]
        assert rows[word] == [f"{number:,}" for number in numbers]
    text = section("docs/how-it-works.md", "Quotas")
    assert f"{budget.DAY_LINE:,}" in text
    assert f"{int(budget.DAY_LINE * budget.STRETCH_FROM):,}" in text


def test_custom_fields() -> None:
    wanted = {str(field["fieldname"]) for field in (*WANTED, *MIRRORED)} - {SECTION}
    mapped = {
        name
        for row in table("docs/how-it-works.md", "Google")
        for name in re.findall(r"custom_\w+", row[1])
    }
    assert mapped == wanted
    for page in NAMES:
        assert set(re.findall(r"\bcustom_[a-z_]+\b", read(page))) <= wanted | {
            SECTION,
            NOTE,
            WARNING,
        }, page


def test_every_act_of_the_audit_trail_is_told() -> None:
    rows = table("docs/commands.md", "act")
    assert [act for row in rows for act in PLAIN.findall(row[0])] == [what.value for what in What]


# --- JSON, from a small company -----------------------------------------------------------


def documented_json() -> dict[str, tuple[bool, set[str], set[str]]]:
    """Command -> whether it is a list, names it always has, names it may have."""
    return {
        PLAIN.findall(name)[0]: (
            kind == "a list",
            set(PLAIN.findall(always)),
            set(re.findall(r"`(\w+)`", sometimes)),
        )
        for name, kind, always, sometimes in table("docs/commands.md", "`--json` of")
    }


def test_json_table_has_each_command_that_prints_it() -> None:
    printing = {
        name
        for name, command in COMMANDS.items()
        if any("--json" in p.opts and not getattr(p, "hidden", False) for p in command.params)
    }
    assert set(documented_json()) == printing


@sqlite_only
def test_json_is_as_documented(company: Company) -> None:
    seen: set[str] = set()

    def check(name: str, *more: str, code: int = 0, count: int | None = None) -> Any:
        is_list, always, sometimes = documented_json()[name]
        document = run_forked(company, *name.split(), *more, "--json", code=code).data
        assert isinstance(document, list) == is_list, name
        entries = document if is_list else [document]
        assert count is None or len(entries) == count, name
        assert entries, name
        for entry in list(document.values()) if name == "config show" else entries:
            assert always <= set(entry) <= always | sometimes, (name, sorted(entry))
            seen.update(f"{name} {key}" for key in entry)
        return document

    people = company.folder / "people.csv"
    people.write_text(f"email,erpnext_user\n{BOB},{BOB}\n")
    check("version")
    check("config show")
    check("doctor", code=ExitCode.UNHEALTHY)
    check("erpnext setup", "--connected-app")
    check("accounts add", ANN, "--via", "service-account")
    company.google.set_delegated(SERVICE_ACCOUNT, (CALENDAR_SCOPE, LIST_SCOPE))
    company.set("find_calendars", "admins")
    check("calendars find", ANN, count=1)
    alias = "alias@scoopjoy.test"
    company.google.add_user(alias, calendar_id="real@scoopjoy.test")
    check("accounts add", alias, "--via", "service-account")
    others = company.folder / "others.csv"
    others.write_text(f"email\n{alias}\n")
    check("accounts import", "--from", str(others))
    done = run_forked(company, "accounts", "disconnect", alias, "--yes")
    assert done.code == 0
    check("accounts invite", ADMIN)
    check("accounts import", "--via", "oauth", "--from", str(people))
    check("accounts import", "--from", str(people))
    company.google.insert_event(ANN, company.timed())
    check("resync", ANN, "--dry-run")
    check("resync", "--all", count=2)
    check("verify", count=2)
    check("explain", ANN, "shift")
    check("accounts list", count=4)
    shown = check("accounts show", ANN)
    assert set(shown["calendars"][0]) == {"id", "state", "message", "last_success", "push"}
    check("calendars list", count=2)
    check("channels list", count=2)
    check("channels renew", "--force", count=2)
    check("tokens list", count=4)
    check("tokens renew", "--all", count=2)
    check("keys list", count=1)
    box = Postbox()
    company.set("notify_webhook_url", box.webhook_url)
    check("notify test", count=1)
    box.refuse = True
    check("notify test", count=1, code=ExitCode.UNAVAILABLE)
    box.close()
    with company.services.db.session() as session:
        now = company.services.clock()
        notices.add(session, key="x", account=ANN, state="failing", cause="gone", now=now)
    check("notify list", count=1)
    check("audit")
    check("keys rotate")
    check("uninstall", "--dry-run")
    copy = check("backup", str(company.folder / "backups"))["file"]
    check("restore", copy, "--yes")
    company.set("erpnext_url", "http://127.0.0.1:1")
    check("resync", ANN, code=ExitCode.UNAVAILABLE)
    check("verify", ANN, code=ExitCode.UNAVAILABLE)
    queue = check("queue show")
    assert set(queue["failed"][0]) <= set(PLAIN.findall(line_of("docs/commands.md", "- `queue")))
    check("status", code=ExitCode.UNHEALTHY)
    check("uninstall", "--yes", code=ExitCode.PARTLY)
    missing = {
        f"{name} {key}"
        for name, (_, always, sometimes) in documented_json().items()
        for key in always | sometimes
    } - seen
    # What a dry run would do to rows that are there; and there is no Connected App to link to.
    assert missing == {"resync update", "resync cancel", "resync keep", "accounts add link"}


def line_of(page: str, start: str) -> str:
    return next(line for line in read(page).splitlines() if line.startswith(start))


# --- the commands of all pages, run -------------------------------------------------------

NOT_HERE = frozenset({"demo", "up", "web", "worker", "cron", "init", "completion", "doctor"})
"""Run until they are stopped, ask on a terminal, change the shell, or wait for seconds: other tests
run them."""
ENDS = {
    "status": ExitCode.UNHEALTHY,
    "explain EV00042": ExitCode.NOT_FOUND,
    "explain https://www.google.com/calendar/event?eid=...": ExitCode.USAGE,
}
"""Commands that do not end with 0 in the company of this test."""
SOMEBODY = "ann@example.com"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_command_in_a_block_runs(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written, one after the other, in a company where Ann has an event of each title that the
    pages name. Questions are answered by --yes; folders are this test's."""
    lines = {" ".join(words): words for page in NAMES for words in in_fences(page)}
    here = company.folder
    monkeypatch.chdir(here)
    box = Postbox()
    _as_in_the_pages(company, box)
    names = {"/var/backups/watcher": str(here)}
    ran = 0
    for line in sorted(lines, key=lambda line: ("uninstall" in line, "--data" in line)):
        words = lines[line]
        command = parse(words)
        if command.split()[0] in NOT_HERE:
            continue
        if command != "accounts resume":
            _connected(company)
        words = [names.get(word, word) for word in words]
        if "restore" in words:
            words[-1] = next(str(path) for path in here.glob("ledger-*.sqlite3"))
        if any("--yes" in option.opts for option in COMMANDS[command].params):
            words.append("--yes")
        done = CliRunner().invoke(cli, words, env=company.environ, standalone_mode=False)
        if "restore" in words:
            company.rebuild()
        failed = getattr(done.exception, "exit_code", None)
        code = failed if done.exception is not None else done.return_value or 0
        wanted = ENDS.get(line.removeprefix("-v ").partition(" --")[0], ENDS.get(line, 0))
        assert code == wanted, f"watcher {line}: {done.output} {done.exception}"
        ran += 1
    box.close()
    assert ran >= 35
    assert not (here / "data/ledger.sqlite3").exists(), "the last one has removed everything"


def _as_in_the_pages(company: Company, box: Postbox) -> None:
    company.set("database_url", "")
    company.set("delegation_allow", "@example.com,@scoopjoy.test")
    company.set("secret_keys", "")
    company.set("secret_keys_file", str(company.folder / "secret.key"))
    company.set("smtp_url", box.smtp_url)
    (company.folder / "secret.key").write_text(f"{company.key}\n")
    (company.folder / "people.csv").write_text(f"email\n{SOMEBODY}\n")
    company.google.delegated_to = ["@example.com", "@scoopjoy.test"]
    company.google.add_user(SOMEBODY, time_zone="Asia/Kolkata")
    company.site.add_user(SOMEBODY)
    for title in ("stand-up", "offsite"):
        company.google.insert_event(SOMEBODY, company.timed(summary=title))
    today = datetime(2026, 12, 1, 9, tzinfo=UTC).isoformat()
    times = {edge: {"dateTime": today, "timeZone": "Asia/Kolkata"} for edge in ("start", "end")}
    company.google.insert_event(SOMEBODY, {"summary": "then", **times})
    company.setup_erpnext()


def _connected(company: Company) -> None:
    """Ann is mirrored by delegation, whatever the command before has done to her."""
    with company.services.db.session() as session:
        account = accounts.find(session, SOMEBODY)
        if account is not None and account.state == AccountState.ACTIVE:
            return
    company.add(SOMEBODY)
    assert company.sync(SOMEBODY) == "done"


# --- the commands of the README, run ------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run ``watcher WORDS`` in an empty folder and check its exit code."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("WATCHER_")}

    def go(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = forked(words, environ, tmp_path)
        assert done.returncode == code, f"watcher {shlex.join(words)}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return go


FILLED = {
    "WATCHER_PUBLIC_URL": "https://watcher.example.com",
    "WATCHER_ERPNEXT_URL": "https://erp.example.com",
    "WATCHER_ERPNEXT_API_KEY": "key",
    "WATCHER_ERPNEXT_API_SECRET": "known-secret-of-erpnext",
    "WATCHER_GOOGLE_CLIENT_ID": "id.apps.googleusercontent.com",
    "WATCHER_GOOGLE_CLIENT_SECRET": "known-secret-of-google",
}


@pytest.mark.system
def test_first_steps(run: Any, tmp_path: Path) -> None:
    run("init")
    env, key = tmp_path / ".env", tmp_path / "watcher-data/secret.key"
    assert [path.stat().st_mode & 0o077 for path in (env, key)] == [0, 0]
    before = env.read_text(), key.read_text()
    run("init")
    assert (env.read_text(), key.read_text()) == before, "what is there is kept"
    empty = run("config", "validate", code=ExitCode.USAGE)
    for name in FILLED:
        assert name in empty.stderr, name
    run("up", code=ExitCode.USAGE)
    with env.open("a") as handle:
        handle.writelines(f"{name}={value}\n" for name, value in FILLED.items())
    run("config", "validate", "--offline")
    shown = run("config", "show")
    told = json.loads(run("config", "show", "--json").stdout)
    assert list(told) == [env_name(field) for field in fields()]
    assert told["WATCHER_ERPNEXT_API_SECRET"] == {"value": "********", "source": str(env)}
    assert "known-secret" not in shown.stdout + shown.stderr + json.dumps(told)


@pytest.mark.system
def test_exit_codes_of_a_fresh_installation(run: Any, tmp_path: Path) -> None:
    assert json.loads(run("version", "--json").stdout)["version"] == watcher.__version__
    assert watcher.__version__ in run("--version").stdout
    run("no-such-command", code=ExitCode.USAGE)
    run("init")
    with (tmp_path / ".env").open("a") as handle:
        handle.writelines(f"{name}={value}\n" for name, value in FILLED.items())
    assert json.loads(run("accounts", "list", "--json").stdout) == []
    run("accounts", "show", "nobody@example.com", code=ExitCode.NOT_FOUND)
    run("resync", code=ExitCode.USAGE)
    status = json.loads(run("status", "--json", code=ExitCode.UNHEALTHY).stdout)
    assert [problem["state"] for problem in status["problems"]] == ["queue_down"]
    assert run("keys", "add").returncode == 0
    keys = json.loads(run("keys", "list", "--json").stdout)
    assert [key["encrypts"] for key in keys] == [True, False]
    assert set(keys[0]) == {"key", "secrets", "given", "encrypts"}
    run("keys", "forget", "deadbeef", "--yes", code=ExitCode.NOT_FOUND)
