"""``accounts invite``: links for employees, by mail, into a file, or on the screen."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from watcher.cli import recording
from watcher.cli.common import App, emit, iso, json_option, messages, new_file, pass_app, worst
from watcher.cli.later import later
from watcher.errors import UserError
from watcher.ledger.acts import What

with later():
    from watcher.accounts import inviting, lists, rounds, verbs
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit

if TYPE_CHECKING:
    from watcher.accounts.rounds import Answer, Guest

USER = click.option("--erpnext-user", help="ERPNext user; by default the one of that address.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is invited, and which way the links go."""

    emails: tuple[str, ...]
    erpnext_user: str | None
    source: str | None
    by_mail: bool
    table: str | None
    remind: bool

    @property
    def is_one(self) -> bool:
        """One employee, whose link is printed."""
        alone = len(self.emails) == 1 and self.source is None
        return alone and not (self.by_mail or self.table or self.remind)


@click.command("invite", short_help="Print or mail connect links for employees.")
@click.argument("emails", nargs=-1)
@USER
@click.option("--from-file", "source", metavar="FILE", help="CSV with columns email, erpnext_user.")
@click.option("--mail", "by_mail", is_flag=True, help="Send each employee the link by mail.")
@click.option("--csv", "table", metavar="FILE", help="Write addresses and links, for a mail merge.")
@click.option(
    "--remind", is_flag=True, help="Send open links again; to all invited, or those named."
)
@json_option
@pass_app
def invite(app: App, /, **given: Any) -> int:
    """Links by which employees connect their calendars: each for one address, once, for 7 days.

    One address prints its link. Of several, what is wrong with one stops no other. With --mail each
    gets a mail that says who asks, what is read, who will see it, and how to stop. Who is connected
    already is left as it is.
    """
    wanted = Wanted(**given)
    if wanted.is_one:
        one(app, wanted.emails[0], wanted.erpnext_user)
        return 0
    return _many(app, wanted)


def one(app: App, email: str, erpnext_user: str | None) -> None:
    link = verbs.invite(app.services, email, erpnext_user=erpnext_user)
    if app.as_json:
        emit({"email": ledger.normal(email), "link": link, "valid_days": 7})
    else:
        click.echo(link)
        messages.print(f"send this link to {ledger.normal(email)}; it works once, within 7 days")


def _many(app: App, wanted: Wanted) -> int:
    if wanted.by_mail and wanted.table is not None:
        raise UserError("a link goes one way: by --mail, or into a file for --csv")
    guests = _guests(app, wanted)
    asker = next(iter(app.services.settings.admin_emails), "")
    postman = inviting.postman(app.services) if wanted.by_mail else None
    answers = []
    with postman or nullcontext(), _opened(wanted.table) as table:
        how = inviting.How(asker=asker, postman=postman, reminds=wanted.remind)
        invited = rounds.Round(inviting.act(app.services, how))
        for guest in guests:
            with audit.attempt(What.ACCOUNT_INVITE, recording.write, guest.email):
                answer = invited.answer(guest)
            answers.append(answer)
            if table is not None and answer.link:
                csv.writer(table).writerow([answer.email, answer.link, iso(answer.ends_at)])
            _tell(app, answer, shows_link=table is None)
    audit.figures(people=len(answers), done=sum(answer.code == 0 for answer in answers))
    if app.as_json:
        emit([_as_json(answer, shows_link=wanted.table is None) for answer in answers])
    else:
        done = sum(answer.code == 0 for answer in answers)
        messages.print(f"{done} of {len(answers)} done")
    return worst([answer.code for answer in answers])


def _guests(app: App, wanted: Wanted) -> list[Guest]:
    """Raises ``UserError`` where nobody is named."""
    if wanted.erpnext_user and len(wanted.emails) != 1:
        raise UserError("--erpnext-user is for one address", next_step="or name users in the file")
    named = [rounds.Guest(email, wanted.erpnext_user) for email in wanted.emails]
    if wanted.source is not None:
        named += of_file(wanted.source, "--from-file people.csv")
    if named:
        return lists.once(named)
    if not wanted.remind:
        raise UserError("nobody to invite", next_step="name addresses, or --from-file people.csv")
    return inviting.waiting(app.services)


def of_file(source: str, option: str) -> list[Guest]:
    """The people of a CSV; ``option`` is how it is to be named. Raises ``UserError``."""
    path = Path(source)
    if not path.is_file():
        raise UserError(f"{source} is not a file", next_step=option)
    return lists.of_csv(path.read_bytes(), source)


@contextmanager
def _opened(name: str | None) -> Iterator[TextIO | None]:
    """The file of links, which nobody else may read. It is made before any link is, so that none
    is lost for want of a place to write to."""
    if name is None:
        yield None
        return
    with new_file(name) as table:
        csv.writer(table).writerow(["email", "link", "valid_until"])
        yield table
    messages.print(f"the links are in {name}: whoever reads it can use them", markup=False)


def _tell(app: App, answer: Answer, *, shows_link: bool) -> None:
    if app.as_json:
        return
    messages.print(f"{answer.email or '-'}: {answer.text}", markup=False)
    if answer.link and shows_link:
        click.echo(f"{answer.email} {answer.link}")


def _as_json(answer: Answer, *, shows_link: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"email": answer.email, "outcome": answer.text, "code": answer.code}
    if answer.link and shows_link:
        document |= {"link": answer.link, "valid_until": iso(answer.ends_at)}
    return document
