"""Employees' names, as ERPNext has them: admins know people by these, and search by them."""

from __future__ import annotations

from collections.abc import Sequence

from watcher.erpnext.persons import persons
from watcher.ledger import people
from watcher.services import Services


def look_at_names(services: Services) -> int:
    """Of all accounts that are not disconnected; returns how many have another name now."""
    with services.db.reading() as session:
        users = people.users(session)
    return learn(services, users)


def learn(services: Services, users: Sequence[str]) -> int:
    """Of the accounts of these ERPNext users. Raises ``Transient``, ``Permanent``."""
    found = persons(services.erpnext, users)
    names = {user: (person.full_name, person.employee) for user, person in found.items()}
    with services.db.session() as session:
        return people.name(session, names)
