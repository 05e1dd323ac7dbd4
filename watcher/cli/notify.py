"""``notify``: test, list."""

from __future__ import annotations

from typing import Any

import click

from watcher.cli.common import (
    App,
    emit,
    iso,
    json_option,
    messages,
    pass_app,
    short_time,
    show_table,
    worst,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.errors import UserError, WatcherError

with later():
    from watcher.erpnext import todos
    from watcher.ledger import audit
    from watcher.ledger import notices as ledger
    from watcher.notices import media, words

TEXT = "This is a test: whoever reads it will be told when Watcher needs a person."


@click.group(cls=Group)
def notify() -> None:
    """How people are told of trouble."""


@notify.command("test", short_help="Send a test by every way that is set.")
@click.option("--todo", "user", help="Also a ToDo for this ERPNext user.")
@json_option
@pass_app
def test(app: App, user: str | None) -> int:
    """Send a test by every way that is set: mail, webhook, and a ToDo if a user is named."""
    ways = [*media.configured(app.services.settings), *([media.TODO] if user else [])]
    if not ways:
        raise UserError(
            "no notification channel is configured",
            next_step="set WATCHER_SMTP_URL (and WATCHER_ADMIN_EMAILS) or "
            "WATCHER_NOTIFY_WEBHOOK_URL",
        )
    results: list[dict[str, Any]] = []
    for way in ways:
        result: dict[str, Any] = {"way": way, "outcome": "sent", "code": 0}
        try:
            _send(app, way, user)
        except WatcherError as error:
            result |= {"outcome": error.message, "code": error.exit_code}
            result["next_step"] = error.next_step
        results.append(result)
        if not app.as_json:
            messages.print(f"{way}: {result['outcome']}", markup=False)
            if result.get("next_step"):
                messages.print(f"  do: {result['next_step']}", markup=False)
    sent = [str(result["way"]) for result in results if not result["code"]]
    audit.figures(sent=" ".join(sent), failed=len(results) - len(sent))
    if app.as_json:
        emit(results)
    return worst([int(result["code"]) for result in results])


def _send(app: App, way: str, user: str | None) -> None:
    if way == media.TODO and user is not None:
        if not app.services.erpnext.user_exists(user):
            raise UserError(
                f"ERPNext has no enabled user {user}", next_step="--todo with the user's address"
            )
        marker = words.marker(0)
        todo = todos.ToDo(user=user, text=f"<p {marker}>{TEXT}</p>", marker=marker)
        todos.put(app.services.erpnext, todo)
    else:
        media.send(
            app.services.settings, way, media.Told(subject=words.subject("a test"), text=TEXT)
        )


@notify.command("list")
@json_option
@pass_app
def list_(app: App) -> None:
    """What people are being told of, and how often each was told."""
    with app.services.db.reading() as session:
        found = ledger.open_now(session)
    if app.as_json:
        emit(
            [
                {
                    "account": n.who or None,
                    "state": n.state,
                    "cause": n.cause,
                    "seen": iso(n.seen_at),
                    "mended": iso(n.mended_at),
                    "mail": n.mailed,
                    "webhook": n.posted,
                    "todo": n.asked,
                    "common": n.is_group,
                    "part_of_common": n.group_id is not None,
                    "error": n.error,
                }
                for n in found
            ]
        )
        return
    rows = [
        (
            n.who or ("several" if n.is_group else "Watcher"),
            n.state,
            n.cause,
            short_time(n.seen_at),
            n.mailed,
            n.posted,
            n.asked,
            n.error,
        )
        for n in found
    ]
    columns = ("who", "state", "cause", "seen (UTC)", "mails", "posts", "ToDos", "not delivered")
    show_table(columns, rows, "there is nothing to tell anybody")
