"""``doctor``."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from watcher.cli.common import App, emit, json_option, messages, pass_app, read_settings
from watcher.cli.later import later
from watcher.doctor import say
from watcher.errors import ExitCode, UserError

with later():
    from watcher.doctor import bundle as bundles
    from watcher.doctor import case as cases
    from watcher.doctor import examine as examining
    from watcher.doctor import table
    from watcher.given import files
    from watcher.telemetry import log as logs

_COLOURS = {
    say.Verdict.OK: "green",
    say.Verdict.WARN: "yellow",
    say.Verdict.FAIL: "red",
    say.Verdict.SKIP: None,
}
_SILENT = 60
_WIDEST = 20
"""Columns for the names of the checks; a longer name pushes its sentence to the right."""
_PERMISSIONS = "erpnext.may."


@click.command(short_help="Check everything, and say what to do.")
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write one file for a bug report, without secrets, addresses or titles.",
)
@json_option
@pass_app
def doctor(app: App, bundle: Path | None) -> int:
    """Check the settings and both sides, and say what to do; exit 7 on a failure."""
    report = examined(app, table.CHECKS, bundle)
    if app.as_json:
        emit(as_json(report))
    else:
        show(report.findings)
        counts = ", ".join(f"{len(report.of(verdict))} {verdict}" for verdict in say.Verdict)
        messages.print(f"{counts} in {report.seconds:.1f} s")
    return ExitCode.OK if report.healthy else ExitCode.UNHEALTHY


def examined(
    app: App, checks: Sequence[examining.Check], bundle: Path | None = None
) -> examining.Report:
    """Run these checks with the settings that are found, and write the file for a bug report where
    one is wanted. Settings that cannot even be read are the only finding then."""
    try:
        loaded = read_settings()
    except UserError as error:
        what = " ".join(error.message.split())
        if bundle is not None:
            messages.print(f"{bundle} was not written: correct the settings first", markup=False)
        return examining.Report(
            {"settings.complete": say.fail(what, error.next_step or "watcher config validate")},
            0.0,
        )
    # What a check meets is told as its finding, and not a second time as a line of the log.
    logs.configure(loaded.settings.log_format, level=20 if app.verbose else _SILENT)
    with cases.opened(loaded) as case:
        report = examining.examine(case, checks)
        if bundle is not None:
            with files.writing(bundle):
                bundles.write(bundle, case, report)
            messages.print(f"wrote {bundle}; look at it before you send it", markup=False)
        return report


def as_json(report: examining.Report) -> dict[str, Any]:
    return {
        "healthy": report.healthy,
        "seconds": round(report.seconds, 2),
        "checks": [
            {
                "name": name,
                "verdict": str(each.verdict),
                "message": each.message,
                "do": each.do or None,
            }
            for name, each in report.findings.items()
        ],
    }


def show(findings: Mapping[str, say.Finding]) -> None:
    """A line for each check, and below it what to do; long sentences are folded between words."""
    tried = _merged({name: each for name, each in findings.items() if not each.because})
    width = min(_WIDEST, max((len(name) for name in tried), default=0))
    for name, each in tried.items():
        word = click.style(f"{each.verdict:4}", fg=_COLOURS[each.verdict])
        _folded(f"{word}  {name:{width}}  ", width + 8, each.message)
        if each.do:
            click.echo(f"      do: {each.do}")
    causes = Counter(each.because for each in findings.values() if each.because)
    for cause, count in causes.items():
        click.echo(f"skip  {count} more, because of {cause}")


def _merged(findings: Mapping[str, say.Finding]) -> dict[str, say.Finding]:
    """With one line for all permissions, where none of them is amiss."""
    single = {n: each for n, each in findings.items() if n.startswith(_PERMISSIONS)}
    if not single or any(each.verdict != say.Verdict.OK for each in single.values()):
        return dict(findings)
    merged: dict[str, say.Finding] = {}
    for name, each in findings.items():
        if name in single:
            merged["erpnext.may"] = say.ok(f"all {len(single)} permissions that Watcher needs")
        else:
            merged[name] = each
    return merged


def _folded(head: str, indent: int, text: str) -> None:
    lines = textwrap.wrap(text, 80 - indent, break_long_words=False, break_on_hyphens=False)
    for line in lines or [""]:
        click.echo(head + line)
        head = " " * indent
