"""What is remembered of an admin: how often the dashboard was signed out of, since a cookie from
before a sign-out is void; and the language of the user in ERPNext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Fact
from watcher.ledger.secrets import digest


def sign_outs(session: Session, email: str) -> int:
    """Of all browsers of this admin together."""
    fact = session.get(Fact, _name(email))
    return int(fact.value) if fact else 0


def sign_out(session: Session, email: str, now: datetime) -> None:
    """End every session of this admin."""
    count = sign_outs(session, email) + 1
    session.merge(Fact(name=_name(email), value=str(count), learned_at=now))


def _name(email: str) -> str:
    return f"sign_outs:{digest(email)[:40]}"


def learn_languages(session: Session, found: Mapping[str, str], now: datetime) -> None:
    """Note what ERPNext says of admins, by address; one that it does not say stays what it was."""
    for email, language in found.items():
        if language:
            session.merge(Fact(name=_language(email), value=language, learned_at=now))


def languages(session: Session, emails: Sequence[str]) -> dict[str, str]:
    """The language of each admin of whom it is known, by address: of an account, or of a user of
    ERPNext with that address."""
    by_fact = {_language(email): email for email in emails}
    facts = session.scalars(select(Fact).where(Fact.name.in_(list(by_fact)))).all()
    found = {by_fact[fact.name]: fact.value for fact in facts}
    mine = select(Account).where(Account.email.in_(emails), Account.language != "")
    return found | {account.email: account.language for account in session.scalars(mine)}


def _language(email: str) -> str:
    return f"language:{digest(email)[:40]}"
