"""``audit``: who did what, when, from where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click

from watcher.cli.common import App, emit, json_option, messages, new_file, pass_app, show_table
from watcher.cli.later import later
from watcher.errors import UserError

with later():
    from watcher.ledger import trail

SHOWN = 50
_AGO = re.compile(r"(\d{1,4})([hd])")


@click.command(short_help="Who did what, when, from where.")
@click.option("--last", type=click.IntRange(1), help=f"So many rows; {SHOWN}, or all with --csv.")
@click.option("--since", metavar="WHEN", help="A day such as 2026-12-01, or 12h, or 7d.")
@click.option("--who", default="", help="Letters of who did it.")
@click.option("--what", default="", help="An act such as account.pause, or all of `account`.")
@click.option("--subject", default="", help="Letters of what it is about, such as an address.")
@click.option("--csv", "table", metavar="FILE", help="A table for spreadsheets; - is stdout.")
@json_option
@pass_app
def audit(
    app: App,
    /,
    last: int | None,
    since: str | None,
    table: str | None,
    **letters: str,
) -> None:
    """The audit trail, the newest row first: what people did by command and page, and what Watcher
    did of itself. It is kept for WATCHER_AUDIT_DAYS."""
    chosen = trail.Chosen(**letters, since=_moment(since, app.services.clock()))
    if chosen.what and not trail.is_known(chosen.what):
        raise UserError(
            f"there is no act {chosen.what}", next_step="docs/commands.md names them all"
        )
    if table is not None:
        _write(table, trail.as_csv(app.services.db, chosen, last))
        return
    with app.services.db.reading() as session:
        found = trail.page(session, chosen, limit=last or SHOWN)
    if app.as_json:
        emit([trail.as_json(row) for row in found])
        return
    rows = [
        (
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            row.who,
            row.what,
            row.subject,
            row.origin,
            f"{row.outcome}: {row.cause}" if row.cause else row.outcome,
            ", ".join(f"{name} {value}" for name, value in trail.figures(row).items()),
        )
        for row in found
    ]
    columns = ("when (UTC)", "who", "what", "about", "from", "outcome", "figures")
    show_table(columns, rows, "nothing is like this")


def _moment(since: str | None, now: datetime) -> datetime | None:
    """Raises ``UserError``."""
    if since is None:
        return None
    ago = _AGO.fullmatch(since)
    if ago is not None:
        number = int(ago[1])
        return now - (timedelta(hours=number) if ago[2] == "h" else timedelta(days=number))
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UserError(
            f"{since} is no moment", next_step="--since 2026-12-01, or --since 12h, or --since 7d"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _write(name: str, pieces: Iterable[str]) -> None:
    """Into a file that nobody else may read. Raises ``UserError`` for one that is there."""
    if name == "-":
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    with new_file(name) as file:
        file.writelines(pieces)
    messages.print(f"wrote {name}", markup=False)
