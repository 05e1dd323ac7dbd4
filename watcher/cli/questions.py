"""The questions of ``watcher init``: each group of answers is tried at once.

Answers are kept by the name of the setting (``WATCHER_PUBLIC_URL``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import click

from watcher.cli import admin_key, doctor
from watcher.cli.common import messages
from watcher.cli.later import later
from watcher.doctor import say
from watcher.errors import UserError, WatcherError

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher.doctor import case as cases
    from watcher.doctor import examine as examining
    from watcher.doctor import table
    from watcher.erpnext import client as rest
    from watcher.erpnext import fields, role

Answers = dict[str, str]
CONSENT, DELEGATION, BOTH = WAYS = ("consent", "delegation", "both")


@dataclass(frozen=True, slots=True)
class Question:
    """``setting`` is a field of the settings, ``about`` says what follows from the answer. With
    ``optional`` an empty answer is one."""

    setting: str
    text: str
    about: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    hidden: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Questions that belong together, and the checks of ``watcher doctor`` that try the answers.
    ``ways`` are those of connecting people for which it is asked; empty: for all."""

    title: str
    questions: tuple[Question, ...]
    checks: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()


STEPS = (
    Step(
        "The public address, by which Google and employees reach Watcher",
        (Question("public_url", "https address, e.g. https://watcher.example.com"),),
        ("address.dns", "address.certificate"),
    ),
    Step(
        "ERPNext: a user of its own for Watcher (not Administrator), with an API key",
        (
            Question("erpnext_url", "address of the site, e.g. https://erp.example.com"),
            Question("erpnext_api_key", "API key"),
            Question("erpnext_api_secret", "API secret", hidden=True),
        ),
        ("erpnext.reached", "erpnext.clock", "erpnext.user", "erpnext.version", "erpnext.rights"),
    ),
    Step(
        "Google: the OAuth client (docs/google.md has each click)",
        (
            Question("google_client_id", "client ID"),
            Question("google_client_secret", "client secret", hidden=True),
        ),
        ("google.clock", "google.client", "google.redirect"),
        (CONSENT, BOTH),
    ),
    Step(
        "Google: the service account for domain-wide delegation",
        (
            Question("google_service_account_file", "path of its JSON key"),
            Question(
                "delegation_allow",
                "for whom it may act",
                "Google's scope does not limit whose calendar the key opens; this list does. "
                "Addresses or @domains, separated by commas.",
            ),
        ),
        ("google.clock", "google.key", "google.delegation"),
        (DELEGATION, BOTH),
    ),
    Step(
        "Who sees what in ERPNext",
        (
            Question(
                "default_event_type",
                "ordinary events",
                "Public: every desk user of ERPNext can read them, and change them too. Private: "
                "the employee alone, with whom each event is shared.",
                "Public",
                ("Public", "Private"),
            ),
            Question(
                "private_events",
                "events that the employee has marked private",
                "busy: the time with the word Busy (or another, WATCHER_BUSY_TITLE), and nothing "
                "else. private: all of it, for the employee alone. skip: not in ERPNext at all.",
                "busy",
                ("busy", "private", "skip"),
            ),
            Question(
                "window_past_days",
                "days to look back",
                "Older events are not mirrored, and leave ERPNext's calendar.",
                "7",
            ),
            Question("window_future_days", "days to look ahead", default="30"),
            Question(
                "find_calendars",
                "who may look for people's further calendars at Google (outlets, rosters)",
                "no: nobody. admins, employees (each the own ones), or both: Google is asked for "
                "one permission more (docs/google.md, Further calendars).",
                "no",
                ("no", "admins", "employees", "both"),
            ),
        ),
    ),
    Step(
        "Who is told of trouble, and may sign in to the dashboard",
        (
            Question("admin_emails", "addresses of admins, separated by commas"),
            Question(
                "smtp_url",
                "mail server",
                "smtp://USER:PASSWORD@HOST:587; empty for none. Without a mail server or a webhook "
                "(WATCHER_NOTIFY_WEBHOOK_URL) nobody is told.",
                hidden=True,
                optional=True,
            ),
        ),
    ),
)


def ask() -> Answers:
    """Ask everything; an answer that fails may be given again. Nothing is written."""
    answers: Answers = {}
    messages.print("How do people connect their calendars?")
    messages.print("  consent: each of them opens a link and agrees")
    messages.print("  delegation: the Workspace admin allows it once, for everybody")
    way = click.prompt("  way", CONSENT, type=_one_of(WAYS), err=True)
    for step in STEPS:
        if not step.ways or way in step.ways:
            accepted = _one_step(step, answers)
            if accepted and "erpnext.user" in step.checks:
                _offer_fields(answers)
    return answers


def _one_step(step: Step, answers: Answers) -> bool:
    """Ask until nothing fails, or until it is to be kept all the same; whether nothing fails."""
    while True:
        messages.print(f"\n{step.title}", markup=False)
        for question in step.questions:
            _one_answer(question, answers)
        found = tried(answers, step.checks)
        doctor.show({k: v for k, v in found.items() if v.verdict != say.Verdict.SKIP})
        if not any(each.verdict == say.Verdict.FAIL for each in found.values()):
            return True
        if click.confirm("Keep these answers all the same?", default=False, err=True):
            return False


def _one_answer(question: Question, answers: Answers) -> None:
    name = declared.env_name(question.setting)
    if question.about:
        messages.print(f"  {question.about}", markup=False)
    default = "" if question.hidden else answers.get(name, question.default)
    while True:
        given = click.prompt(
            f"  {question.text}",
            default=default or ("" if question.optional else None),
            show_default=bool(default),
            hide_input=question.hidden,
            type=_one_of(question.choices) if question.choices else str,
            err=True,
        ).strip()
        problem = _problem({name: given})
        if not problem:
            answers[name] = given
            return
        messages.print(f"  {problem}", markup=False)


def _one_of(choices: Sequence[str]) -> click.Choice[str]:
    return click.Choice(choices, case_sensitive=False)


def _problem(values: Answers) -> str:
    """What is malformed about an answer; empty when nothing is."""
    try:
        declared.load(values, cases.NOWHERE)
    except UserError as error:
        return error.message.partition("\n")[2].replace("  - ", "").strip()
    return ""


def tried(answers: Answers, names: tuple[str, ...]) -> dict[str, say.Finding]:
    """What these checks of the doctor find with the answers. Raises ``UserError`` for answers that
    are malformed."""
    checks = [check for check in table.CHECKS if check.name in names]
    with cases.opened(_loaded(answers)) as case:
        return examining.examine(case, checks).findings


def _loaded(answers: Answers) -> declared.Loaded:
    return declared.load({**os.environ, **answers}, cases.NOWHERE)


def _offer_fields(answers: Answers) -> None:
    """Make the custom fields and the role at once, with the key of an admin where the API user's
    own is not good for it."""
    if not _yes("Make Watcher's custom fields on Event now (watcher erpnext setup)?"):
        return
    settings = _loaded(answers).settings
    client = composed.erpnext_client(settings)
    try:
        admin = client
        if not client.is_system_manager():
            admin = admin_key.client_of(settings.erpnext_url, admin_key.ask())
        report = fields.install(admin, _say)
        _say(f"{len(report.present)} fields were there, {len(report.created)} made")
        if _wants_role(admin, client.whoami()):
            role.give(admin, client.whoami(), _say)
    except WatcherError as error:
        _say(f"not made: {error.message}; do: {error.next_step or 'watcher erpnext setup'}")


def _wants_role(admin: rest.ErpNextClient, user: str) -> bool:
    taken = role.would_take(admin, user)
    instead = f" It no longer has {', '.join(taken)} then." if taken else ""
    _say(
        f"{user} can have a role of its own, Watcher, with the rights that are needed and no "
        f"others.{instead} Reading the tokens of ERPNext's Connected App takes System Manager; "
        "without that way of connecting, the role does."
    )
    return _yes(f"Make the role Watcher and give it to {user}?")


def _yes(question: str) -> bool:
    return click.confirm(question, default=True, err=True)


def _say(line: str) -> None:
    messages.print(f"  {line}", markup=False)
