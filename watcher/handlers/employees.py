"""The admins' page *Employees*: who is connected and who is not, and what can be done about it. The
actions are those of ``watcher accounts``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher.accounts import finding, lists
from watcher.accounts.rounds import Answer, Guest
from watcher.errors import UserError
from watcher.handlers import acting, office, outcomes, parts, sealed, speech, typed, whom
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services
from watcher.languages.catalogs import N_
from watcher.ledger import audit, people
from watcher.ledger.states import AccountState
from watcher.services import Services

_, ngettext = speech.gettext, speech.ngettext

bp = Blueprint("employees", __name__)

ASKED = "asked"
NAMED = 20
NOBODY, TICK = N_("Nobody was chosen"), N_("tick the boxes beside the names")
GONE, NEW_LINK = N_("What became of it is shown for an hour"), N_("make a new link where one lacks")
UNNAMED, WRITE = N_("Nobody was named"), N_("write addresses, or choose a CSV file")


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    office.open_in(state.app)


@bp.get("/employees")
@for_admins
def everybody() -> ResponseReturnValue:
    """A page of the accounts that fit the search."""
    app, search = services(), whom.searched(request.args)
    with app.db.reading() as session:
        counts = people.counts(session)
        page = parts.paging(people.fitting(session, search))
        found = people.page(session, search, page.limit, page.offset)
    return render_template(
        "employees.html",
        found=found,
        search=search,
        fields=whom.fields(search),
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


def _can_mail(app: Services) -> bool:
    return bool(app.settings.smtp_url.get_secret_value())


# --- actions --------------------------------------------------------------------------------


@bp.post("/employees/act")
@for_admins
@acting.records(audit.What.ACCOUNT_SET)
def act() -> ResponseReturnValue:
    """A button of a row (``one``: the deed and an address), or one for those who were chosen."""
    chosen = _chosen()
    back, deed = _back(chosen.search), whom.DEEDS[chosen.deed]
    audit.about(f"{len(chosen.emails)} accounts", deed.what)
    if not chosen.emails:
        parts.refused(UserError(NOBODY, next_step=TICK))
        return redirect(back, 303)
    if (deed.always_asked or len(chosen.emails) > 1) and "confirmed" not in request.form:
        audit.nothing()
        word = sealed.keep(ASKED, chosen.document())
        return redirect(url_for("employees.ask_first", asked=word), 303)
    try:
        answers = office.run(chosen.deed, deed.what, [Guest(email) for email in chosen.emails])
    except UserError as error:
        parts.refused(error)
        return redirect(back, 303)
    if len(answers) == 1 and not answers[0].link:
        _told(answers[0])
        return redirect(back, 303)
    return outcomes.to_page(answers, back, _rest(chosen, answers))


def _back(search: people.Search) -> str:
    wanted: dict[str, Any] = dict(whom.fields(search))
    return url_for("employees.everybody", **wanted)


def _chosen() -> whom.Chosen:
    form, search = request.form, whom.searched(request.form)
    one, _, email = form.get("one", "").partition(" ")
    deed = one or form.get("act", "")
    if deed not in whom.DEEDS:
        abort(400)
    if not one and form.get("everyone") == "yes":
        return whom.chosen(deed, None, search, form.get("after", ""))
    return whom.chosen(deed, [email] if one else form.getlist("email"), search)


@bp.get("/employees/act")
@for_admins
def ask_first() -> ResponseReturnValue:
    """Whether it is to be done, with what follows from it."""
    kept = sealed.opened(ASKED, request.args.get("asked", ""))
    if kept is None:
        return redirect(url_for("employees.everybody"), 303)
    chosen = whom.Chosen.kept(kept)
    deed, many = whom.DEEDS[chosen.deed], len(chosen.emails)
    more = [_("and %(many)s more", many=speech.number(many - NAMED))] if many > NAMED else []
    people_ = ngettext("%(many)s employee", "%(many)s employees", many, many=speech.number(many))
    return render_template(
        "act_asked.html",
        heading=f"{_(deed.label)}: {people_}?",
        about=[*chosen.emails[:NAMED], *more],
        consequences=[_(text) for text in deed.consequences],
        action=url_for("employees.act"),
        fields=chosen.fields(),
        label=_(deed.label),
        kind="hurts" if deed.always_asked else "button",
        back=_back(chosen.search),
        disconnects=chosen.deed == "disconnect",
    )


@bp.get("/employees/done/<word>")
@for_admins
def done(word: str) -> ResponseReturnValue:
    """What became of each of a round."""
    return outcomes.page(word) or _no_longer()


def _no_longer() -> ResponseReturnValue:
    parts.refused(UserError(GONE, next_step=NEW_LINK))
    return redirect(url_for("employees.everybody"), 303)


def _told(answer: Answer) -> None:
    said = speech.say(answer.text)
    text = speech.ended(said if answer.email in said else f"{answer.email}: {said}")
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
        answers = office.run(deed, audit.What.ACCOUNT_INVITE, guests)
    except UserError as error:
        parts.refused(error)
        given = typed.again("addresses", "by")
        return redirect(url_for("employees.everybody", **given), 303)
    left = [guest for guest, answer in zip(guests, answers, strict=True) if answer.waits]
    lines = "\n".join(f"{guest.email} {guest.erpnext_user or ''}" for guest in left)
    again = (("guests", lines), ("by", request.form.get("by", "")))
    rest = outcomes.Again(url_for("employees.invite"), again, len(left))
    return outcomes.to_page(answers, back, rest)


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


def _rest(chosen: whom.Chosen, answers: Sequence[Answer]) -> outcomes.Again:
    """Of everybody who fits a search those go on whose addresses follow the last one that was
    reached: all of them would be too long for a form."""
    left = [answer.email for answer in answers if answer.waits]
    fields = [("act", chosen.deed), ("confirmed", "yes"), *whom.fields(chosen.search)]
    fields.append(("events", request.form.get("events", "")))
    if chosen.everyone:
        reached = [answer.email for answer in answers if not answer.waits]
        last = reached[-1] if reached else request.form.get("after", "")
        fields += [("everyone", "yes"), ("after", last)]
    else:
        fields += [("email", email) for email in left]
    return outcomes.Again(url_for("employees.act"), fields, len(left))
