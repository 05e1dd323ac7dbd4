"""Examples for the help of each command: what people type most, and what it does.

They stand in one place, so that a test can try them: each names a command and options that exist.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

COLUMNS = 80 - 2
_ANN = "ann@example.com"

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "init": (
        ("", "ask for the settings, and try each answer"),
        ("--write systemd", "make a unit for systemd, too"),
        ("--no-input", "write a commented .env with everything still to fill in"),
    ),
    "config show": (("", "all settings, secrets masked, each with where it came from"),),
    "config validate": (
        ("", "everything that is wrong, at once; both sides are tried"),
        ("--offline", "without asking Google and ERPNext"),
    ),
    "version": (("--json", ""),),
    "completion": (("--install", "of the shell that you use"),),
    "doctor": (
        ("", "try everything"),
        ("--bundle report.json", "a file for a bug report, without secrets or titles"),
    ),
    "up": (("", "until Ctrl-C"), ("--port 9000 --workers 4", "")),
    "web": (("--host 0.0.0.0 --port 8080", "behind a proxy on another machine"),),
    "worker": (("--queue live", ""), ("--queue backfill", "")),
    "cron": (("", "one of several may run; a second one waits"),),
    "erpnext setup": (
        ("--dry-run", "say what would be changed"),
        ("", "change it"),
        ("--desk no", "the fields alone"),
    ),
    "accounts add": (
        (f"{_ANN} --via service-account", "live at once"),
        (f"{_ANN} --erpnext-user ann.lee@example.com", "prints a link for her"),
    ),
    "accounts invite": (
        (_ANN, "prints a link, good once and for seven days"),
        ("--from-file people.csv --mail", "mails each of them a link"),
        ("--from-file people.csv --csv links.csv", "for your own mail merge"),
        ("--remind --mail", "those who have not connected yet"),
    ),
    "accounts import": (
        ("--from erpnext", "all ERPNext users, by delegation"),
        ("--from erpnext --keep", "those who are new, every night"),
        ("--from people.csv", "the columns email and, if wanted, erpnext_user"),
    ),
    "accounts list": (("", ""), ("--json", "")),
    "accounts show": ((_ANN, "with its calendars, and what to do"),),
    "accounts set": ((f"{_ANN} --event-type Private", "only she reads her events"),),
    "accounts pause": ((_ANN, "nothing of hers is read any more"),),
    "accounts resume": ((_ANN, ""), ("--all", "once what held all up is mended")),
    "accounts disconnect": (
        (_ANN, "her mirrored events stay"),
        (f"{_ANN} --events delete --yes", "they go, and nobody is asked"),
    ),
    "calendars list": (("", ""), (_ANN, "hers alone")),
    "calendars find": ((_ANN, "her outlets and rosters, each with its line"),),
    "calendars add": ((f"{_ANN} c_1a2b3c@group.calendar.google.com", "an outlet's"),),
    "calendars remove": ((f"{_ANN} c_1a2b3c@group.calendar.google.com", ""),),
    "channels list": (("", ""),),
    "channels renew": (
        ("", "those that are due"),
        ("--all --force", "all, e.g. after WATCHER_PUBLIC_URL has changed"),
    ),
    "channels stop": ((_ANN, "polled until the next renewal"),),
    "tokens list": (("", ""),),
    "tokens renew": ((_ANN, "ask Google for a new one now"),),
    "resync": (
        (_ANN, "read her whole window again, correct ERPNext"),
        ("--all --dry-run", "say what that would write"),
    ),
    "verify": (("--all", "exit code 7 on a difference"), (_ANN, "")),
    "explain": (
        ("EV00042", "by ERPNext's name"),
        ('"https://www.google.com/calendar/event?eid=..."', "by Google's link"),
        (f"{_ANN} stand-up", "by words of the title"),
        (f"{_ANN} 2026-12-01", "by the day"),
    ),
    "audit": (
        ("--since 7d", "of the last week"),
        (f"--subject {_ANN}", "what was done about her"),
        ("--what account --csv audit.csv", "a table for a spreadsheet"),
    ),
    "status": (("", "one screen"), ("--json", "for a monitor")),
    "queue show": (("", "with ERPNext's own words"),),
    "queue retry": (("", "after the cause is mended"),),
    "queue leave": (("ann@example.com 4o1vq8example", "it is known, and need not be in ERPNext"),),
    "queue take-up": (("", "all that was left aside"),),
    "keys list": (("", "which key opens how much"),),
    "keys add": (("", "then `watcher keys rotate`"),),
    "keys rotate": (("", ""),),
    "keys forget": (("4f1c9a2b", "a key that is lost: its employees connect again"),),
    "backup": (("/var/backups/watcher", "every night, by cron"),),
    "restore": (("/var/backups/watcher/ledger-20261130T024100Z.sqlite3", ""),),
    "uninstall": (
        ("--dry-run", "figures, and nothing is done"),
        ("", "every channel and permission ended, events and fields kept"),
        ("--rows delete --fields delete --data", "nothing of Watcher stays"),
    ),
    "notify list": (("", ""),),
    "notify test": (("", "a mail and a webhook message"),),
    "demo": (
        ("--for 60", "end after a minute"),
        ("--ics mine.ics", "with your own calendar export"),
    ),
    "sandbox google": (("--port 8090", ""),),
    "sandbox erpnext": (("--port 8091 --frappe 16", ""),),
}
"""By command: what stands after its name, and what it is for."""


def add_examples(command: click.Command, path: str) -> None:
    """Put the examples of ``path`` below the help of the command, and of those below it."""
    if isinstance(command, click.Group):
        paths = [f"{path} {name}" for name in sorted(command.commands)]
        for name, below in command.commands.items():
            add_examples(below, f"{path} {name}")
        # Of a group the first one of each command.
        found = [(each, EXAMPLES[each][0]) for each in paths if each in EXAMPLES]
    else:
        found = [(path, example) for example in EXAMPLES.get(path, ())]
    command.epilog = _epilog(found)


def _epilog(found: Iterable[tuple[str, tuple[str, str]]]) -> str | None:
    lines = [(f"watcher {path} {words}".rstrip(), what) for path, (words, what) in found]
    return "\b\nExamples:\n" + "\n".join(_laid_out(lines)) if lines else None


def _laid_out(lines: list[tuple[str, str]]) -> list[str]:
    """Side by side where that fits into a terminal of 80 columns, else one below the other."""
    width = max(len(line) for line, _ in lines)
    beside = [f"  {line:{width}}  {what}".rstrip() for line, what in lines]
    if max(len(line) for line in beside) <= COLUMNS:
        return beside
    return [each for line, what in lines for each in (f"  {line}", f"      {what}") if each.strip()]


FIRST = _epilog((name, EXAMPLES[name][0]) for name in ("init", "doctor", "up", "accounts invite"))
"""For the help of ``watcher`` itself: the first day."""
