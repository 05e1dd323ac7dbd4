"""The admins' page *Employees*: who is connected and who is not, and what can be done about it. The
actions are those of ``watcher accounts``."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from urllib.parse import urlencode

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher.accounts import deeds, finding, inviting, lists
from watcher.accounts.rounds import Act, Answer, Guest, Round
from watcher.errors import UserError
from watcher.handlers import acting, parts, speech, turns
from watcher.handlers.admin import for_admins
from watcher.handlers.context import EXTENSION, services
from watcher.handlers.endings import Endings
from watcher.languages.catalogs import N_
from watcher.ledger import audit, people
from watcher.ledger.states import AccountState
from watcher.services import Services

_, ngettext = speech.gettext, speech.ngettext

bp = Blueprint("employees", __name__)

OFFICE = __name__
SECONDS = 20.0
"""So long one request works for many people; who is left is told so, and asked for again."""
NAMED = 20
BY_MAIL = frozenset({"mail", "invite_by_mail"})
EVENTS = ("keep", "cancel", "delete")
BUSY = N_("Another action of this kind is under way")


LATER = N_("try again in a minute")
NOBODY, TICK = N_("Nobody was chosen"), N_("tick the boxes beside the names")
UNNAMED, WRITE = N_("Nobody was named"), N_("write addresses, or choose a CSV file")


@dataclass(slots=True)
class Office:
    """One round at a time: each holds a thread of the web server while Google, ERPNext or a mail
    server is asked, and notifications need theirs."""

    endings: Endings
    lock: threading.Lock = field(default_factory=threading.Lock)


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions[OFFICE] = Office(Endings(state.app.extensions[EXTENSION]))


@dataclass(frozen=True, slots=True)
class Deed:
    """What a button does: its ``label``, what the audit trail calls it, what is told before it is
    done for several people, and whether it is told for a single one, too."""

    label: str
    what: audit.What
    consequences: tuple[str, ...]
    always_asked: bool = False


DEEDS = {
    "pause": Deed(
        N_("Pause"),
        audit.What.ACCOUNT_PAUSE,
        (
            N_(
                "Nothing of their calendars is read while they are paused, and nothing changes in "
                "ERPNext. It goes on when you resume them; a pause has no end by itself."
            ),
        ),
    ),
    "resume": Deed(
        N_("Resume"),
        audit.What.ACCOUNT_RESUME,
        (N_("Each permission is tried, and the calendars are read in full."),),
    ),
    "mail": Deed(
        N_("Send the link by mail"),
        audit.What.ACCOUNT_MAIL,
        (N_("Each of them gets a mail now with the personal link. Nobody is mailed twice a day."),),
    ),
    "link": Deed(
        N_("Make a new link"),
        audit.What.ACCOUNT_INVITE,
        (N_("Each gets a new link. Those sent before no longer work."),),
    ),
    "disconnect": Deed(
        N_("Disconnect"),
        audit.What.ACCOUNT_DISCONNECT,
        (
            N_(
                "Google's notifications are stopped, the permission is revoked at Google and "
                "forgotten here, and open links no longer work. To connect again takes a new "
                "invitation."
            ),
            N_("A delegation stays at Google: the Workspace admin ends it in the Admin console."),
        ),
        always_asked=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom an action is for: those named, or ``everyone`` who fits the search."""

    deed: str
    emails: Sequence[str]
    everyone: bool
    search: people.Search

    def fields(self) -> list[tuple[str, str]]:
        """As a form sends them again."""
        whom = [] if self.everyone else [("email", email) for email in self.emails]
        many = [("everyone", "yes")] if self.everyone else []
        return [("act", self.deed), *many, *whom, *_fields(self.search)]


def _fields(search: people.Search) -> list[tuple[str, str]]:
    named = (("q", search.text), ("state", search.state), ("sort", search.sort))
    return [(name, value) for name, value in named if value]


@bp.get("/employees")
@for_admins
def everybody() -> ResponseReturnValue:
    """A page of the accounts that fit the search."""
    app, search = services(), _search(request.args)
    with app.db.reading() as session:
        counts = people.counts(session)
        page = parts.paging(people.fitting(session, search))
        found = people.page(session, search, page.limit, page.offset)
    return render_template(
        "employees.html",
        found=found,
        search=search,
        fields=_fields(search),
        page=page,
        counts=counts,
        states=[*AccountState, people.FAILING],
        total=sum(counts.get(state, 0) for state in AccountState if state != people.LEFT),
        by_mail=_can_mail(app),
        by_link=bool(app.settings.google_client_id and app.settings.public_url),
        finds=finding.may(app.settings, "admins"),
        erpnext=app.settings.erpnext_url,
        now=app.clock(),
    )


def _search(given: dict[str, str]) -> people.Search:
    return people.Search(
        text=given.get("q", "").strip(),
        state=given.get("state", ""),
        sort=given.get("sort", ""),
    )


def _can_mail(app: Services) -> bool:
    return bool(app.settings.smtp_url.get_secret_value())


# --- actions --------------------------------------------------------------------------------


@bp.post("/employees/act")
@for_admins
@acting.records(audit.What.ACCOUNT_SET)
def act() -> ResponseReturnValue:
    """A button of a row (``one``: the deed and an address), or one for those who were chosen."""
    chosen = _chosen()
    back = f"{url_for('employees.everybody')}?{urlencode(_fields(chosen.search))}"
    audit.about(f"{len(chosen.emails)} accounts", DEEDS[chosen.deed].what)
    if not chosen.emails:
        parts.refused(UserError(NOBODY, next_step=TICK))
        return redirect(back, 303)
    deed = DEEDS[chosen.deed]
    if (deed.always_asked or len(chosen.emails) > 1) and "confirmed" not in request.form:
        audit.nothing()
        return _asked(chosen, deed, back)
    try:
        answers = _run(chosen.deed, deed.what, [Guest(email) for email in chosen.emails])
    except UserError as error:
        parts.refused(error)
        return redirect(back, 303)
    if len(answers) == 1 and not answers[0].link:
        _told(answers[0])
        return redirect(back, 303)
    return _results(answers, back, _rest(chosen, answers))


def _chosen() -> Chosen:
    form, search = request.form, _search(request.form)
    one, _, email = form.get("one", "").partition(" ")
    deed = one or form.get("act", "")
    if deed not in DEEDS:
        abort(400)
    everyone = not one and form.get("everyone") == "yes"
    emails: Sequence[str] = [email] if one else form.getlist("email")
    if everyone:
        with services().db.reading() as session:
            emails = people.emails(session, search, form.get("after", ""))
    return Chosen(deed, emails, everyone, search)


def _asked(chosen: Chosen, deed: Deed, back: str) -> ResponseReturnValue:
    many = len(chosen.emails)
    more = [_("and %(many)s more", many=speech.number(many - NAMED))] if many > NAMED else []
    whom = ngettext("%(many)s employee", "%(many)s employees", many, many=speech.number(many))
    return render_template(
        "act_asked.html",
        heading=f"{_(deed.label)}: {whom}?",
        about=[*chosen.emails[:NAMED], *more],
        consequences=[_(text) for text in deed.consequences],
        action=url_for("employees.act"),
        fields=chosen.fields(),
        label=_(deed.label),
        kind="hurts" if deed.always_asked else "button",
        back=back,
        disconnects=chosen.deed == "disconnect",
    )


def _told(answer: Answer) -> None:
    text = speech.ended(f"{answer.email}: {speech.say(answer.text)}")
    if answer.code:
        parts.refused(UserError(f"{answer.email}: {answer.text}"), text)
    else:
        parts.done(text)


# --- inviting -------------------------------------------------------------------------------


@bp.post("/employees/invite")
@for_admins
@acting.records(audit.What.ACCOUNT_INVITE)
def invite() -> ResponseReturnValue:
    """Addresses that were pasted, and those of a CSV."""
    back = url_for("employees.everybody")
    try:
        guests = _guests()
        audit.about(f"{len(guests)} accounts")
        deed = "invite_by_mail" if request.form.get("by") == "mail" else "invite"
        answers = _run(deed, audit.What.ACCOUNT_INVITE, guests)
    except UserError as error:
        parts.refused(error)
        return redirect(back, 303)
    left = [guest for guest, answer in zip(guests, answers, strict=True) if answer.waits]
    lines = "\n".join(f"{guest.email} {guest.erpnext_user or ''}" for guest in left)
    again = (("guests", lines), ("by", request.form.get("by", "")))
    return _results(answers, back, Again(url_for("employees.invite"), again, len(left)))


def _guests() -> list[Guest]:
    """Raises ``UserError`` where nobody is named."""
    found = [_guest(line) for line in request.form.get("guests", "").splitlines()]
    found += lists.of_text(request.form.get("addresses", ""))
    file = request.files.get("people")
    if file is not None and file.filename:
        found += lists.of_csv(file.read(), file.filename[:80])
    if not found:
        raise UserError(UNNAMED, next_step=WRITE)
    return lists.once(found)


def _guest(line: str) -> Guest:
    """One who was left in the round before."""
    email, _, user = line.partition(" ")
    return Guest(email, user or None)


# --- doing it -------------------------------------------------------------------------------


def _run(deed: str, what: audit.What, guests: Sequence[Guest]) -> list[Answer]:
    """What became of each. Raises ``UserError``, also when another round is under way."""
    office = _office()
    try:
        with turns.alone(office.lock):
            postman = inviting.postman(services()) if deed in BY_MAIL else None
            with postman or nullcontext():
                ends = time.monotonic() + SECONDS
                run = Round(_act(deed, postman), lambda: time.monotonic() < ends)
                if len(guests) == 1:
                    audit.about(guests[0].email)
                    return [run.answer(guests[0])]
                answers = [_recorded(run, what, guest) for guest in guests]
    except turns.TooMany:
        raise UserError(BUSY, next_step=LATER) from None
    audit.figures(people=len(answers), done=sum(answer.code == 0 for answer in answers))
    return answers


def _recorded(run: Round, what: audit.What, guest: Guest) -> Answer:
    with acting.attempt(what, guest.email):
        return run.answer(guest)


def _office() -> Office:
    return cast(Office, current_app.extensions[OFFICE])


def _act(deed: str, postman: inviting.Postman | None) -> Act:
    app, asker = services(), parts.signed_in_as()
    if deed == "disconnect":
        return partial(_disconnect, _office().endings, _events())
    if deed in ("mail", "invite", "invite_by_mail"):
        return inviting.act(app, inviting.How(asker, postman, reminds=deed == "mail"))
    plain = {"pause": deeds.pausing, "resume": deeds.resuming, "link": deeds.linking}
    return plain[deed](app)


def _events() -> str:
    """Raises ``UserError`` for a choice that there is not."""
    events = request.form.get("events", "")
    if events not in EVENTS:
        raise UserError(N_("Nothing was chosen for their events"))
    return events


def _disconnect(endings: Endings, events: str, guest: Guest) -> Answer:
    endings.add(guest.email, events)
    return Answer(guest.email, N_("is being disconnected now, which may take some minutes"))


@dataclass(frozen=True, slots=True)
class Again:
    """The form that goes on with those ``many`` whose turn has not come."""

    action: str
    fields: Sequence[tuple[str, str]]
    many: int


def _rest(chosen: Chosen, answers: Sequence[Answer]) -> Again:
    """Of everybody who fits a search those go on whose addresses follow the last one that was
    reached: all of them would be too long for a form."""
    left = [answer.email for answer in answers if answer.waits]
    fields = [("act", chosen.deed), ("confirmed", "yes"), *_fields(chosen.search)]
    fields.append(("events", request.form.get("events", "")))
    if chosen.everyone:
        reached = [answer.email for answer in answers if not answer.waits]
        last = reached[-1] if reached else request.form.get("after", "")
        fields += [("everyone", "yes"), ("after", last)]
    else:
        fields += [("email", email) for email in left]
    return Again(url_for("employees.act"), fields, len(left))


def _results(answers: Sequence[Answer], back: str, again: Again) -> ResponseReturnValue:
    """What became of each, with the links that were made: they are shown here and never again."""
    return render_template(
        "act_done.html",
        answers=answers,
        done=sum(answer.code == 0 for answer in answers),
        links=any(answer.link for answer in answers),
        again=again,
        back=back,
    )
