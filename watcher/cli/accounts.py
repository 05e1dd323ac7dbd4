"""``accounts``: add, invite, import, list, show, pause, resume, disconnect."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import click

from watcher import errors
from watcher.cli import common, inviting, looking, recording
from watcher.cli.common import (
    App,
    emit,
    json_option,
    messages,
    pass_app,
    worst,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.ledger.states import AccountState

with later():
    from watcher.accounts import company, leaving, verbs
    from watcher.accounts import disconnect as ending
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit

VIA = click.Choice(["oauth", "service-account", "erpnext"])
AT_ONCE = 8
A_MINUTE = 61.0


@click.group(cls=Group)
def accounts() -> None:
    """Employees' Google accounts."""


for shown in (inviting.invite, looking.list_, looking.show):
    accounts.add_command(shown)


@accounts.command("add", short_help="Register an employee.")
@click.argument("email")
@inviting.USER
@click.option("--via", type=VIA, default="oauth", show_default=True, help="The way to Google.")
@click.option("--calendar", "calendar_ids", multiple=True, help="Calendar id; repeatable.")
@json_option
@pass_app
def add(
    app: App,
    email: str,
    erpnext_user: str | None,
    via: str,
    calendar_ids: tuple[str, ...],
) -> None:
    """Register an employee; by service account or ERPNext the mirror is live at once.

    Who has not consented in ERPNext's Connected App yet is invited by a ToDo there, and goes live
    with the consent.
    """
    if via == "oauth":
        inviting.one(app, email, erpnext_user)
        if calendar_ids:
            messages.print("after the consent: watcher calendars add EMAIL ID, for each --calendar")
        return
    add = verbs.add_from_desk if via == "erpnext" else verbs.add_delegated
    added = add(app.services, email, erpnext_user=erpnext_user, calendar_ids=calendar_ids)
    if app.as_json:
        document = {"email": added.email, "erpnext_user": added.erpnext_user, "state": added.state}
        named = {"calendar": added.calendar_id, "link": added.link}
        emit(document | {key: value for key, value in named.items() if value})
    elif added.link:
        messages.print(f"{added.email} is invited, and connected as soon as that is done:")
        messages.print(f"  {added.erpnext_user} presses 'Connect to ...' at", markup=False)
        click.echo(added.link)
        messages.print("  a ToDo in ERPNext says so, too, while Watcher runs")
    else:
        messages.print(f"{added.email} is connected, its first sync is queued")
        _say_calendar(added.calendar_id)
        if added.erpnext_user is None:
            messages.print("  ERPNext has no user of that address: events carry no user")


def _say_calendar(calendar_id: str) -> None:
    """Say which calendar is mirrored where its id is not the address: an admin who only knows the
    address would look for another one."""
    name = "its account's main calendar" if calendar_id == "primary" else calendar_id
    if calendar_id:
        messages.print(f"  the address is no calendar id: {name} is mirrored", markup=False)


@accounts.command("import")
@click.option(
    "--via", type=VIA, default="service-account", show_default=True, help="The way to Google."
)
@click.option(
    "--from",
    "source",
    help="FILE.csv with columns email, erpnext_user; or `erpnext` for its enabled users.",
)
@click.option(
    "--keep", is_flag=True, help="Take up who is new, leave everybody else as they are; for cron."
)
@click.option(
    "--leavers",
    type=click.Choice(["name", "keep", "cancel", "delete"]),
    default="name",
    show_default=True,
    help="With --keep, who has left ERPNext for a week: name them, or disconnect them and keep, "
    "cancel or delete their events.",
)
@json_option
@pass_app
def import_(app: App, via: str, source: str | None, keep: bool, leavers: str) -> int:
    """Add or invite many at once; one bad line stops no other.

    With `--via erpnext` everyone who authorised the Connected App in ERPNext, unless a file says
    otherwise. With `--keep` an account that is there already, also one that was disconnected, is
    not touched, and those who have left ERPNext are named, or with `--leavers` disconnected.
    """
    results: list[dict[str, Any]] = []
    codes = []
    known = company.known(app.services) if keep else frozenset()
    people = [each for each in _people(app, via, source) if each[0].lower() not in known]
    for result in _imported(app, via, people):
        email = result["email"]
        results.append(result)
        codes.append(int(result["code"]))
        if not app.as_json:
            messages.print(f"{email or '-'}: {result['outcome']}", markup=False)
            _say_calendar(result.get("calendar", ""))
            if "link" in result:
                click.echo(f"{email} {result['link']}")
    audit.figures(people=len(codes), done=sum(code == 0 for code in codes))
    if keep:
        for left in leaving.leavers(app.services, leavers):
            results.append(left)
            codes += [int(left["code"])] if leavers != "name" else []
            if not app.as_json:
                messages.print(f"{left['email']}: {left['outcome']}", markup=False)
    if app.as_json:
        emit(results)
    elif not results:
        messages.print("nobody is new" if keep else "nobody to import")
    elif len(results) > 1:
        done = sum(code == 0 for code in codes)
        messages.print(f"{done} of {len(results)} done")
    return worst(codes)


def _imported(
    app: App, via: str, people: Sequence[tuple[str, str | None]]
) -> Iterator[dict[str, Any]]:
    """What became of each, in their order. By the service account several are taken up at once: for
    each of them Google is asked twice and waited for."""
    by_key = via == "service-account"
    chosen = verbs.choose_users(app.services, people) if by_key else {}

    def take_up(person: tuple[str, str | None], before: Future[Any] | None) -> dict[str, Any]:
        if before is not None:
            before.exception()  # the same address once more: in the order of the lines
        email, user = person
        one = partial(_import_one, app, via, email, chosen.get(person, user))
        with audit.attempt(audit.What.ACCOUNT_ADD, recording.write, email):
            return errors.contained(partial(_patiently, one), partial(_not_imported, email))

    pool = ThreadPoolExecutor(AT_ONCE if by_key else 1)
    under_way: dict[str, Future[dict[str, Any]]] = {}
    try:
        futures = []
        for person in people:
            address = person[0].strip().lower()
            whose = contextvars.copy_context()  # who asks, for the audit trail
            before = under_way.get(address)
            under_way[address] = pool.submit(whose.run, take_up, person, before)
            futures.append(under_way[address])
        for future in futures:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _patiently(one: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Once more after the pause, when the calls of this minute are used up."""
    try:
        return one()
    except errors.Transient as error:
        if error.retry_after is None or error.retry_after > A_MINUTE:
            raise
        time.sleep(error.retry_after)
    return one()


def _import_one(app: App, via: str, email: str, user: str | verbs.Chosen | None) -> dict[str, Any]:
    left = company.left_as_it_is(app.services, email, via)
    if left:
        audit.nothing()
        return {"email": email, "outcome": left, "code": 0}
    if via == "oauth":
        link = verbs.invite(app.services, email, erpnext_user=user)
        return {"email": email, "outcome": "invited", "code": 0, "link": link}
    add = verbs.add_from_desk if via == "erpnext" else verbs.add_delegated
    added = add(app.services, email, erpnext_user=user)
    if added.link:
        outcome = "invited: to consent in ERPNext"
        return {"email": email, "outcome": outcome, "code": 0, "link": added.link}
    named = {"calendar": added.calendar_id} if added.calendar_id else {}
    return {"email": email, "outcome": "connected", "code": 0} | named


def _not_imported(email: str, error: errors.WatcherError) -> dict[str, Any]:
    audit.failed(audit.why(error))
    text = f"{error.message} ({error.next_step})" if error.next_step else error.message
    return {"email": email, "outcome": text, "code": error.exit_code}


def _people(app: App, via: str, source: str | None) -> Iterator[tuple[str, str | None]]:
    if source is None and via != "erpnext":
        raise errors.UserError("nobody to import", next_step="--from FILE.csv or --from erpnext")
    if source is None:
        yield from ((user, user) for user in company.desk_users(app.services))
    elif source == "erpnext":
        yield from ((user, user) for user in company.company_users(app.services, via))
    else:
        guests = inviting.of_file(source, "--from FILE.csv")
        yield from ((guest.email, guest.erpnext_user) for guest in guests)


@accounts.command("set", short_help="Choose Public or Private for an account's events.")
@click.argument("email")
@click.option(
    "--event-type",
    type=click.Choice(["Public", "Private", "default"]),
    help="Of ordinary events; `default` follows WATCHER_DEFAULT_EVENT_TYPE.",
)
@pass_app
def set_(app: App, email: str, event_type: str | None) -> None:
    """Choose what an account's ordinary events are in ERPNext; those mirrored follow at once.

    What the employee marked private goes by WATCHER_PRIVATE_EVENTS all the same.
    """
    if event_type is None:
        raise errors.UserError(
            "nothing to set", next_step="--event-type Public, Private or default"
        )
    chosen = None if event_type == "default" else event_type
    verbs.set_event_type(app.services, email, chosen)
    by_default = f"{app.services.settings.default_event_type}, as the settings say"
    common.result(account=ledger.normal(email), event_type=chosen or "default")
    messages.print(f"the events of {ledger.normal(email)} are {chosen or by_default}")


@accounts.command("pause")
@click.argument("email")
@pass_app
def pause(app: App, email: str) -> None:
    """Stop working for an account; nothing is lost meanwhile."""
    verbs.pause(app.services, email)
    common.result(account=ledger.normal(email), state="paused")
    messages.print(f"paused; `watcher accounts resume {ledger.normal(email)}` goes on")


@accounts.command(
    "resume", short_help="Go on with an account that was paused or could not connect."
)
@click.argument("email", required=False)
@click.option("--all", "everyone", is_flag=True, help="Each account in needs_reconnect.")
@pass_app
def resume(app: App, email: str | None, everyone: bool) -> int:
    """Go on with a paused account, or with one whose grant has been mended; with --all, with each
    whose grant had ended. What an admin has paused stays paused then."""
    if everyone == (email is not None):
        raise errors.UserError("name an e-mail address, or --all")
    if email is not None:
        common.result(accounts=[ledger.normal(email)])
        return _resume_one(app, email)
    chosen = common.select_accounts(
        app, common.Whose(everyone=everyone), (AccountState.NEEDS_RECONNECT,)
    )
    if not chosen:
        messages.print("no account needs it")
    common.result(accounts=[account.email for account in chosen])
    codes = []
    for account in chosen:
        messages.print(f"{account.email}:", markup=False)
        with audit.attempt(audit.What.ACCOUNT_RESUME, recording.write, account.email):
            codes.append(errors.contained(partial(_resume_one, app, account.email), _not_resumed))
    return worst(codes)


def _not_resumed(error: errors.WatcherError) -> int:
    audit.failed(audit.why(error))
    messages.print(f"  {error.message}", markup=False)
    return error.exit_code


def _resume_one(app: App, email: str) -> int:
    proof = verbs.resume(app.services, email)
    messages.print("resumed; a full sync is queued")
    if proof.refusal is None:
        _say_calendar(proof.other_id(ledger.normal(email)))
        return errors.ExitCode.OK
    messages.print(f"but {proof.refusal.message}", markup=False)
    messages.print(f"  do: {proof.refusal.next_step}", markup=False)
    return errors.ExitCode.PARTLY


@accounts.command(
    "disconnect", short_help="Stop mirroring, revoke the permission, forget it (also: remove)."
)
@click.argument("email")
@common.ends_a_mirror
@pass_app
def disconnect(app: App, email: str, events: str) -> None:
    """Stop mirroring, revoke the permission at Google and forget it; repeat it if it broke off."""
    with app.services.db.reading() as session:
        email = ledger.get(session, email).email
    app.confirm(f"Disconnect {email} and {events} its mirrored events?")
    ending.disconnect(
        app.services,
        email,
        events=events,
        told=lambda step: messages.print(f"  {step} ..."),
    )
    common.result(account=email, state="disconnected", events=events)
    messages.print(f"{email} is disconnected")
