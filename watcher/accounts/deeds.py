"""What an admin does to an account, each told in a sentence: ``verbs`` for many people."""

from __future__ import annotations

from functools import partial

from watcher import errors
from watcher.accounts import verbs
from watcher.accounts.rounds import Act, Answer, Guest
from watcher.languages.catalogs import N_
from watcher.languages.sentence import sentence
from watcher.services import Services


def pausing(services: Services) -> Act:
    return partial(_pause, services)


def _pause(services: Services, guest: Guest) -> Answer:
    verbs.pause(services, guest.email)
    return Answer(guest.email, N_("paused: nothing is copied until it is resumed"))


def resuming(services: Services) -> Act:
    return partial(_resume, services)


def _resume(services: Services, guest: Guest) -> Answer:
    proof = verbs.resume(services, guest.email)
    if proof.refusal is None:
        return Answer(guest.email, N_("resumed: its calendars are read again now"))
    text = sentence(
        "resumed, but %(message)s (%(step)s)",
        message=proof.refusal.message,
        step=proof.refusal.next_step,
    )
    return Answer(guest.email, text, errors.ExitCode.PARTLY)


def linking(services: Services) -> Act:
    """A new connect link; earlier ones end. An account that is active stays so meanwhile."""
    return partial(_link, services)


def _link(services: Services, guest: Guest) -> Answer:
    link = verbs.invite(services, guest.email, erpnext_user=guest.erpnext_user)
    text = N_("a new link, for 7 days; earlier ones no longer work")
    return Answer(guest.email, text, link=link)
