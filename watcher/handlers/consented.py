"""An employee has consented: the consent is looked at, then the calendar with it, and only then
something is stored."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.accounts.proof import Proof, client_of, try_own
from watcher.google import consent
from watcher.google.refresh import Fresh
from watcher.handlers import employee, links, who_came
from watcher.handlers.context import services
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import language
from watcher.ledger import accounts, audit, connect, own
from watcher.ledger.models import Account
from watcher.ledger.states import LEAVING

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Consent:
    """What has come back from Google for a consent that was begun here, and who gave it.
    ``again`` is the link to begin once more."""

    flow: connect.Flow
    answer: consent.TokenAnswer
    identity: consent.Identity
    again: str


def connected(given: Consent) -> ResponseReturnValue:
    """The consent is looked at, then the calendar with it, and only then something is stored."""
    app = services()
    with app.db.reading() as db:
        email = _check_consent(db, given).email
    proof = try_own(client_of(app, email, given.answer.access_token), email)
    with app.db.session() as db:
        account = _check_consent(db, given)
        rings = _store(db, account, given, proof)
    app.ring_all(rings, "backfill", "connect")
    log.info("account connected", extra={"account": email})
    employee.begin(account, given.identity)
    return redirect(url_for("me.connected"))


def _check_consent(db: Session, given: Consent) -> Account:
    """The account of the invitation. Raises ``ErrorPage``."""
    answer, identity, again = given.answer, given.identity, given.again
    found = connect.find_invitation(db, given.flow.invitation_id or "")
    if found is None:
        raise links.invalid()
    account = found[1]
    audit.about(account.email)
    if account.state in LEAVING:
        raise ErrorPage(
            N_("This link is no longer valid"),
            N_("%(email)s was disconnected. Ask your administrator for a new link."),
            410,
            email=account.email,
        )
    who_came.invited(account, identity, again)
    other = db.execute(
        select(Account.email).where(Account.google_sub == identity.sub, Account.id != account.id)
    ).scalar_one_or_none()
    if other is not None:
        raise ErrorPage(
            N_("This Google account is connected already"),
            N_("It is connected as %(email)s."),
            409,
            email=other,
        )
    if consent.missing_scopes(answer.scopes):
        raise ErrorPage(
            N_("The calendar permission is missing"),
            N_(
                "On Google's page the box that lets Watcher see your events was not ticked. "
                "Nothing was stored. Try again and tick it."
            ),
            retry=again,
        )
    if answer.refresh_token is None:
        raise ErrorPage(
            N_("Google gave no lasting permission"),
            N_(
                "Try again; if it happens once more, remove Watcher under "
                "myaccount.google.com/permissions first."
            ),
            retry=again,
        )
    return account


def _store(db: Session, account: Account, given: Consent, proof: Proof) -> list[int]:
    """Use the invitation up and keep the consent, also where the calendar is not shown: that is
    the admin's to mend, and goes on by itself then. Who has connected by the same link, in another
    tab, is connected."""
    app, now = services(), services().clock()
    accounts.lock(db, account.id)
    if not connect.use_invitation(db, given.flow.invitation_id or "", now):
        if account.is_active and account.google_sub == given.identity.sub:
            audit.nothing()
            return []
        raise ErrorPage(
            N_("This link has been used"),
            N_("Nothing more is to be done."),
            410,
            retry=url_for("me.page"),
            label=N_("My connection"),
        )
    answer = given.answer
    fresh = Fresh(
        access_token=answer.access_token,
        expires_at=answer.expires_at,
        refresh_token=answer.refresh_token,
        scopes=answer.scopes,
    )
    consented = accounts.Consented(at=now, sub=given.identity.sub, fresh=fresh, own_id=proof.own_id)
    account.language = account.language or language()
    rings = accounts.activate_oauth(db, app.keyring, account.id, consented)
    scopes = {"calendar": proof.other_id(account.email) or account.email}
    audit.record(db, audit.Act(audit.What.CONSENT_GIVE, account.email, scopes), now)
    mine = own.of_account(db, account)
    if proof.refusal is not None and mine is not None:
        own.refuse(mine, proof.refusal, now)
    return rings
