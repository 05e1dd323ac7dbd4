"""``explain``: why an event is, or is not, in ERPNext."""

from __future__ import annotations

import textwrap

import click

from watcher.cli import common
from watcher.cli.later import later

with later():
    from watcher import services
    from watcher.explain import answers, search

WIDTH = 80


@click.command(short_help="Why an event is, or is not, in ERPNext.")
@click.argument("what")
@click.argument("words", nargs=-1)
@common.json_option
@common.pass_app
def explain(app: common.App, what: str, words: tuple[str, ...]) -> int:
    """Why an event is, or is not, in ERPNext: asks Google and ERPNext now, changes nothing.

    WHAT is an event's id, its link in Google Calendar or in ERPNext, ERPNext's name of it, or an
    employee's address with words of the title or a date.
    """
    report = search.explain(services.impatient(app.services), " ".join([what, *words]))
    if app.as_json:
        common.emit(report.as_json())
    else:
        _show(report)
    return report.code


def _show(report: answers.Report) -> None:
    several = len(report.answers) > 1
    for answer in report.answers:
        _headline(answer)
        if not several:
            _facts(answer.said)
        elif answer.event:
            click.echo(f"  event {answer.event}")
        _steps(answer.steps)
        click.echo()
    if report.more:
        click.echo(f"... and {report.more} more: add words or a date\n")
    if not report.answers:
        _not_found(report)
    elif several:
        click.echo("For the facts behind one of them give its event id: watcher explain EMAIL ID")
    click.echo(f"Times are of {report.zone}.")


def _headline(answer: answers.Answer) -> None:
    click.secho(answer.what, bold=True)
    _wrapped(answer.headline)


def _facts(said: tuple[answers.Said, ...]) -> None:
    if said:
        click.echo()
    for each in said:
        _wrapped(each.text, f"{each.source:13}")


def _steps(steps: tuple[str, ...]) -> None:
    for step in steps:
        click.echo(f"  do: {step}")


def _not_found(report: answers.Report) -> None:
    click.secho(report.sentence, bold=True)
    for searched in report.searched:
        _wrapped(searched, "looked at:   ")
    for said in report.unheard:
        _wrapped(f"gave no answer: {said.text}", f"{said.source:13}")
    _steps(report.steps)


def _wrapped(text: str, margin: str = "") -> None:
    """Lines that fit a narrow terminal; a word is not broken, so that commands can be copied."""
    click.echo(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=margin,
            subsequent_indent=" " * len(margin),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
